"""Compares encodings of numbers at equal parameters: `python benchmarks/encodings.py`."""

import argparse
import bisect
import csv
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import encodings_data
from benchmarks.encodings_data import Problem
from benchmarks.encodings_layers import ENCODINGS, Features
from benchmarks.figures import Figure, Origin, append_csv
from benchmarks.worker import device, versions
from keras_mtl import MultiTaskModel, zoo
from keras_mtl.study.budget import count_parameters, trainable_count
from keras_mtl.study.measures import lower_is_better
from keras_mtl.study.statistics import paired_difference, summarize
from keras_mtl.study.tables import number, signed, text_table

BASELINE = "standard"
PLE = {"levels": 2, "shared_experts": 2, "task_experts": 2, "tower_units": [32]}
LEARNING_RATE = 0.002
WIDEST = 512
LEAST_SHARE = 0.94  # of a budget: one unit more in all experts can be some per cent of it
METRICS = ("auc", "mse")
RESULTS = Path(__file__).resolve().parent / "results"
HEADER = (
    *("data", "task", "metric", "encoding", "parameters", "seeds", "mean", "sd"),
    *(f"minus {BASELINE}", "95 % interval"),
)
HOW_TO_READ = (
    "Validation rows. Mean and standard deviation (sd) over seeds; (high) and (low) say which way\n"
    "is better. Differences are paired by seed."
)

Line = dict[str, Any]  # of the CSV
Key = tuple[str, str, str, str]  # data, measure, unit, encoding


@dataclass(frozen=True)
class Outcome:
    """What one model was worth.

    Attributes:
        figures: of each task and their mean, on the rows to compare by, after the best epoch.
        epoch: the best by that mean, from 1.
        parameters: above the embeddings of categories.
        seconds: of training.
    """

    figures: dict[str, float]
    epoch: int
    parameters: int
    seconds: float


def main(arguments: list[str] | None = None) -> int:
    """Trains, adds to the CSV, prints a table; a sentence and 1 on bad input."""
    options = _parser().parse_args(arguments)
    try:
        lines = _csv_lines(options) if options.table else list(measure(options))
        print(report(lines))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """Trains every encoding on all data; all encodings with one seed before the next seed."""
    names = options.data or encodings_data.NAMES
    for data in names:  # what is not there is told before hours of training
        encodings_data.load(data, options.data_dir, 0)
    for data in names:
        for seed in range(options.seeds):
            problem = encodings_data.load(data, options.data_dir, seed)
            for encoding in options.encoding or ENCODINGS:
                origin = Origin.here(
                    *(seed, data, len(problem.train), problem.epochs, keras.backend.backend())
                )
                outcome = train(problem, ENCODINGS[encoding](problem), seed)
                keras.backend.clear_session()
                own = figures(encoding, problem.metric, outcome)
                append_csv(_path(options), own, origin)
                print(f"{data}, {encoding}, seed {seed}: {outcome}", file=sys.stderr, flush=True)
                yield from (asdict(origin) | asdict(figure) for figure in own)


def train(problem: Problem, features: Features, seed: int) -> Outcome:
    """Trains PLE on the features, as wide as the budget allows."""
    keras.utils.set_random_seed(seed)
    model, parameters = build(problem, features, seed)
    steps = -(-len(problem.train) // problem.batch_size) * problem.epochs
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    model.compile(keras.optimizers.Adam(schedule), jit_compile=False)
    keras.utils.set_random_seed(seed)  # the same order of rows, whatever was built
    started = time.perf_counter()
    history = model.fit(
        *(features.train, problem.train.labels),
        validation_data=(features.valid, problem.valid.labels),
        epochs=problem.epochs,
        batch_size=problem.batch_size,
        verbose=0,
    ).history
    seconds = time.perf_counter() - started
    by_task = {task.name: history[f"val_{task.name}_{problem.metric}"] for task in problem.tasks}
    by_task["mean"] = np.mean(list(by_task.values()), axis=0).tolist()
    best = int((np.argmin if lower_is_better(problem.metric) else np.argmax)(by_task["mean"]))
    figures_there = {name: float(values[best]) for name, values in by_task.items()}
    return Outcome(figures_there, best + 1, parameters, seconds)


def build(problem: Problem, features: Features, seed: int) -> tuple[MultiTaskModel, int]:
    """The widest PLE within the budget, and its parameters above the embeddings of categories.

    Raises:
        ValueError: If it lies more than a few per cent below the budget, or no width is within it.
    """
    representation = features.represent()  # (B, D)
    own = features.parameters(representation)

    def size(width: int) -> int:
        arguments = {"name": "ple", **_arguments(problem, width)}
        return own + count_parameters(arguments, list(problem.tasks), representation.shape[-1])

    width = bisect.bisect_right(range(1, WIDEST + 1), problem.budget, key=size)
    parameters = size(max(width, 1))
    if not LEAST_SHARE * problem.budget <= parameters <= problem.budget:
        raise ValueError(
            f"Experts of 1 to {WIDEST} units must give a model {100 * LEAST_SHARE:.0f} to 100 % of "
            f"{problem.budget:,} parameters. Received: {parameters:,} with {max(width, 1)} units, "
            f"{own:,} of them in the encoding"
        )
    model = zoo.ple(representation, problem.tasks, **_arguments(problem, width), seed=seed)
    rest = trainable_count(model) - parameters
    assert rest == features.category_parameters, (rest, features.category_parameters)
    return model, parameters


def _arguments(problem: Problem, width: int) -> dict[str, Any]:
    return {**PLE, "expert_units": [width], "dropout": problem.dropout}


def figures(encoding: str, metric: str, outcome: Outcome) -> list[Figure]:
    """The rows of the CSV."""
    numbers = [
        *((name, round(value, 6), metric) for name, value in outcome.figures.items()),
        ("best epoch", outcome.epoch, ""),
        ("parameters", outcome.parameters, ""),
        ("training", round(outcome.seconds, 1), "s"),
    ]
    return [Figure("encodings", encoding, *own, versions(), "ple", device()) for own in numbers]


def report(lines: Sequence[Line]) -> str:
    """A table: each encoding over the seeds, and its difference from standardised numbers."""
    values: dict[Key, dict[int, float]] = {}
    for line in lines:  # of several for one seed, the last counts
        key = (line["data"], line["measure"], line["unit"], line["contender"])
        values.setdefault(key, {})[int(line["seed"])] = float(line["value"])
    order = list(dict.fromkeys(key[:3] for key in values if key[2] in METRICS))
    keys = sorted(
        (key for key in values if key[2] in METRICS), key=lambda key: order.index(key[:3])
    )
    rows = [
        [
            *(data, task, f"{metric} {'(low)' if lower_is_better(metric) else '(high)'}", encoding),
            f"{np.mean([*values[data, 'parameters', '', encoding].values()]):,.0f}",
            *_cells(values[data, task, metric, encoding]),
            *_gain(values, (data, task, metric, encoding)),
        ]
        for data, task, metric, encoding in keys
    ]
    return f"{text_table(HEADER, rows)}\n\n{HOW_TO_READ}"


def _cells(by_seed: dict[int, float]) -> list[str]:
    own = summarize([*by_seed.values()])
    return [str(own.count), number(own.mean), number(own.deviation)]


def _gain(values: dict[Key, dict[int, float]], key: Key) -> list[str]:
    """The difference from the baseline, by the seeds that both have, and its interval."""
    own, baseline = values[key], values.get((*key[:3], BASELINE), {})
    if key[3] == BASELINE or not own.keys() & baseline.keys():
        return ["", ""]
    gain = paired_difference(own, baseline)
    low, high = gain.interval
    return [signed(gain.mean), f"[{signed(low)}, {signed(high)}]" if gain.count > 1 else ""]


def _csv_lines(options: argparse.Namespace) -> list[Line]:
    """The lines of the CSV on the data and encodings that were asked for."""
    path = _path(options)
    lines = list(csv.DictReader(path.read_text().splitlines())) if path.is_file() else []
    data, encodings = options.data or encodings_data.NAMES, options.encoding or ENCODINGS
    matches = [line for line in lines if line["data"] in data and line["contender"] in encodings]
    if not matches:
        raise ValueError(
            f"File `{path}` must have lines on {', '.join(data)} and {'; '.join(encodings)}. "
            f"Received: {len(lines)} lines, none of them on these"
        )
    return matches


def _path(options: argparse.Namespace) -> Path:
    return Path(options.out, "encodings.csv")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/encodings.py", description=__doc__)
    add = parser.add_argument
    add("--data", nargs="+", choices=encodings_data.NAMES, help="all unless given")
    add("--encoding", nargs="+", choices=tuple(ENCODINGS), help="all unless given")
    add("--seeds", type=_count, default=5, help="seeds 0, 1, ... of splits and trainings")
    add("--data-dir", help="folder of census_income and parkinsons; default: KERAS_MTL_DATA")
    add("--out", type=Path, default=RESULTS, help="folder of the CSV file")
    add(
        "--table",
        action="store_true",
        help="train nothing; print the table of the newest figures in the CSV file",
    )
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive number. Received: {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
