"""From a treebank's annotation to classes, and to one label a word."""

from collections import Counter

import numpy as np

from keras_mtl.datasets.treebank.annotation import RELATIONS, UPOS, inflection
from keras_mtl.datasets.treebank.conllu import Words

OTHER = "other"
# inflections of fewer training words than this are folded into `OTHER`
MIN_COUNT = 20


def learn_classes(train: Words) -> dict[str, list[str]]:
    """The classes of every task, sorted; `OTHER` last where not all are known beforehand."""
    counts = Counter(map(inflection, train.feats))
    frequent = sorted(value for value, count in counts.items() if count >= MIN_COUNT)
    return {
        "upos": list(UPOS),
        "xpos": [*sorted(set(train.xpos)), OTHER],
        "feats": [*frequent, OTHER],
        "deprel": list(RELATIONS),
    }


def make_labels(
    words: Words, classes: dict[str, list[str]], max_words: int
) -> dict[str, np.ndarray]:
    """The labels, int32 (N, S) each; -1 where a sentence has ended."""
    values = {
        "upos": words.upos,
        "xpos": words.xpos,
        "feats": list(map(inflection, words.feats)),
        "deprel": words.deprel,
    }
    lengths = np.array(words.lengths, np.int64)
    row = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(row)) - (np.cumsum(lengths) - lengths)[row]
    kept = place < max_words
    labels = {}
    for task, names in classes.items():
        ids = {name: index for index, name in enumerate(names)}
        last = len(names) - 1
        found = np.fromiter((ids.get(value, last) for value in values[task]), np.int32, len(row))
        labels[task] = np.full((len(lengths), max_words), -1, np.int32)
        labels[task][row[kept], place[kept]] = found[kept]
    return labels
