"""Answers requests from a SavedModel as TF Serving does; run as a script, without any Keras.

    python -P server_process.py EXPORT REQUESTS ANSWERS

A server knows the tag `serve` and the names in a signature, and runs a session on them: nothing
else is used. REQUESTS holds a list of (signature, arrays by input); ANSWERS gets as many pairs
(arrays by output, error or None).

A session prepares the whole graph anew for each set of names that it is asked for: with 139 tasks,
more than a second for every signature. So signatures are asked together, each fed through its own
inputs alone, and apart where that fails.
"""

import pickle
import sys
from collections import Counter
from pathlib import Path
from typing import Any

Request = tuple[str, dict[str, Any]]
Answer = tuple[dict[str, Any], str | None]


def main(export: str, requests: str, answers: str) -> None:
    """Loads the model and answers all requests; exits with a line on stderr if it does not load."""
    # TensorFlow imports Keras where it finds it; a server has none.
    sys.modules["keras"] = sys.modules["keras_mtl"] = None  # type: ignore[assignment]
    import tensorflow as tf

    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        try:
            signatures = tf.compat.v1.saved_model.load(session, ["serve"], export).signature_def
        except Exception as error:  # a damaged file fails in more ways than TensorFlow documents
            sys.exit(_first_line(error))
        asked = pickle.loads(Path(requests).read_bytes())
        answered: dict[int, Answer] = {}
        for places in _rounds(session.graph, signatures, asked):
            together = [asked[place] for place in places]
            answered |= dict(zip(places, _answers(session, signatures, together), strict=True))
    Path(answers).write_bytes(pickle.dumps([answered[place] for place in range(len(asked))]))


def _rounds(graph: Any, signatures: Any, asked: list[Request]) -> list[list[int]]:
    """Places of requests to ask together: of the signatures that share no input, each once."""
    together = _independent(graph, signatures, {name for name, _ in asked if name in signatures})
    rounds: dict[tuple[str, int], list[int]] = {}
    turns: Counter[str] = Counter()
    for place, (name, _) in enumerate(asked):
        turns[name] += 1
        rounds.setdefault(("" if name in together else name, turns[name]), []).append(place)
    return list(rounds.values())


def _independent(graph: Any, signatures: Any, names: set[str]) -> set[str]:
    """Signatures that read none but their own inputs, which no other one lists."""
    inputs = {name: {_node(info) for info in signatures[name].inputs.values()} for name in names}
    listed = Counter(node for nodes in inputs.values() for node in nodes)
    operations = {operation.name: operation for operation in graph.get_operations()}
    found = set()
    for name in names:
        outputs = [_node(info) for info in signatures[name].outputs.values()]
        others = (_before(operations, outputs) & listed.keys()) - inputs[name]
        if not others and all(listed[node] == 1 for node in inputs[name]):
            found.add(name)
    return found


def _before(operations: dict[str, Any], nodes: list[str]) -> set[str]:
    """All nodes that `nodes` are computed from."""
    reached: set[str] = set()
    while nodes:
        node = nodes.pop()
        if node in operations and node not in reached:
            reached.add(node)
            nodes += [tensor.op.name for tensor in operations[node].inputs]
            nodes += [operation.name for operation in operations[node].control_inputs]
    return reached


def _answers(session: Any, signatures: Any, asked: list[Request]) -> list[Answer]:
    """What all are answered in one run; where it fails, each half is asked again."""
    try:
        feeds = {
            info.name: arrays[key]
            for name, arrays in asked
            for key, info in signatures[name].inputs.items()
        }
        fetches = [
            {key: info.name for key, info in signatures[name].outputs.items()} for name, _ in asked
        ]
        return [(outputs, None) for outputs in session.run(fetches, feeds)]
    except Exception as error:  # the others may be answered
        if len(asked) == 1:
            return [({}, _first_line(error))]
    half = len(asked) // 2
    return [
        *_answers(session, signatures, asked[:half]),
        *_answers(session, signatures, asked[half:]),
    ]


def _node(info: Any) -> str:
    """The node of a tensor that a signature names."""
    return info.name.partition(":")[0]


def _first_line(error: Exception) -> str:
    reason = str(error).removeprefix("Graph execution error:").strip() or "no reason given"
    return f"{type(error).__name__}: {reason.splitlines()[0]}"


if __name__ == "__main__":
    main(*sys.argv[1:])
