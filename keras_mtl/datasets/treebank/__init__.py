"""Treebanks of Universal Dependencies: four tagging tasks on the words of a sentence."""

import os

import numpy as np

from keras_mtl.checks import check_choice, check_positive
from keras_mtl.datasets.dataset import Dataset, Split
from keras_mtl.datasets.locating import find_files
from keras_mtl.datasets.treebank.conllu import OPENERS, Words, read_words
from keras_mtl.datasets.treebank.labels import learn_classes, make_labels

__all__ = ["LANGUAGES", "load"]

# by name, where the publisher offers the files
LANGUAGES = {
    "en_ewt": "https://github.com/UniversalDependencies/UD_English-EWT",
    "af_afribooms": "https://github.com/UniversalDependencies/UD_Afrikaans-AfriBooms",
}


def load(
    data_dir: str | os.PathLike[str] | None = None,
    language: str = "en_ewt",
    max_words: int = 64,
) -> Dataset:
    """Reads a treebank of Universal Dependencies: a row is a sentence, a label belongs to a word.

    One column, `words`: lists of the sentence's syntactic words, so multi-word tokens and empty
    nodes are left out. A `Sequence("words", max_length=max_words, keep="first", pooling=None)`
    without `missing` keeps words and labels side by side, also of longer sentences that a server is
    sent. Four multiclass tasks:

    - `upos`: the universal part of speech.
    - `xpos`: the treebank's own tag. Its last class, `other`, are the tags that the train file
      lacks: never seen in training, they count as errors.
    - `feats`: coarse morphology, the combination of Case, Degree, Mood, Number, Person, Tense,
      VerbForm and Voice. The last class, `other`, are the combinations of fewer than 20 words of
      the train file, and those it lacks.
    - `deprel`: the relation to the head, without its subtype.

    Classes stand in `Dataset.classes`, sorted, `other` last. Those of `upos` and `deprel` are all
    of UD version 2, whether a treebank has them or not, so that languages share them; of `xpos` and
    `feats` those of the train file. The numbers of classes, as `Task(units=...)` needs them:

    ============  ====  ====  =====  ======
    language      upos  xpos  feats  deprel
    ============  ====  ====  =====  ======
    en_ewt          17    50     42      37
    af_afribooms    17    96     21      37
    ============  ====  ====  =====  ======

    With 64 words, 81 of English's 16,622 sentences are cut and 1,013 of its 254,818 words left out,
    of Afrikaans' 36 of 1,934 and 405 of 49,258. 159 words keep everything of both.

    Args:
        data_dir: Folder that holds `LANGUAGE-ud-train.conllu`, `-dev` and `-test`, plain or
            compressed as `.xz` or `.gz`, or that has a folder `treebank` which does. By default the
            environment variable `KERAS_MTL_DATA` names it.
        language: "en_ewt", English, or "af_afribooms", Afrikaans.
        max_words: S, words kept of a sentence, from its beginning.

    Output shape:
        A `Dataset` whose train, valid and test are the train, dev and test files: 12,544, 2,001 and
        2,077 English sentences, 1,315, 194 and 425 Afrikaans ones. `words` is an array of lists of
        strings (B,), labels are int32 (B, S), -1 behind the sentence.

    Raises:
        FileNotFoundError: If the files are not there.
        ValueError: If an argument is out of range; if a file or a line cannot be read, with the
            line.

    Example:

    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> sentence = "1\\tShe\\tshe\\tPRON\\tPRP\\tCase=Nom|Number=Sing\\t2\\tnsubj\\t_\\t_\\n"
    >>> sentence += "2\\truns\\trun\\tVERB\\tVBZ\\tTense=Pres\\t0\\troot\\t_\\t_\\n\\n"
    >>> for part in ("train", "dev", "test"):
    ...     _ = (folder / f"en_ewt-ud-{part}.conllu").write_text(sentence)
    >>> data = load(folder, max_words=3)
    >>> data.train.columns["words"][0], data.classes["xpos"], data.train.labels["xpos"].tolist()
    (['She', 'runs'], ['PRP', 'VBZ', 'other'], [[0, 1, -1]])
    >>> from keras_mtl import Task
    >>> [Task(name, "multiclass", units=len(data.classes[name])) for name in ("upos", "xpos")]
    [Task('upos', kind='multiclass', units=17), Task('xpos', kind='multiclass', units=3)]

    Reference:
        Nivre et al., "Universal Dependencies v2: An Evergrowing Multilingual Treebank Collection",
        LREC 2020. Silveira et al., "A Gold Standard Dependency Corpus for English", LREC 2014.
        Augustinus et al., "AfriBooms: An Online Treebank for Afrikaans", LREC 2016. Departures: the
        coarse `feats` are this package's own; heads are left out, so `deprel` is a tag and its
        accuracy no labelled attachment score.
    """
    check_choice("language", language, LANGUAGES)
    check_positive("max_words", max_words)
    names = [f"{language}-ud-{part}.conllu" for part in ("train", "dev", "test")]
    paths = find_files(data_dir, "treebank", names, OPENERS, LANGUAGES[language])
    parts = [read_words(path) for path in paths]
    classes = learn_classes(parts[0])
    train, valid, test = (
        Split({"words": _sentences(part, max_words)}, make_labels(part, classes, max_words))
        for part in parts
    )
    return Dataset(train, valid, test, sequences=["words"], classes=classes)


def _sentences(words: Words, max_words: int) -> np.ndarray:
    """Lists of forms, an object array (B,)."""
    sentences = np.empty(len(words.lengths), object)
    start = 0
    for index, length in enumerate(words.lengths):
        sentences[index] = words.forms[start : start + min(length, max_words)]
        start += length
    return sentences
