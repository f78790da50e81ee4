import os

import numpy as np
import pytest

from keras_mtl import Task
from keras_mtl.datasets import treebank
from keras_mtl.datasets.locating import DATA_VARIABLE
from keras_mtl.datasets.treebank.annotation import RELATIONS, UPOS, inflection
from tests.datasets.treebank_files import SENTENCES, sentence, word_line, write_files

XPOS = [".", "NNP", "NNS", "PRP", "VBD", "other"]
FEATS = [
    "Case=Nom|Number=Sing|Person=3",
    "Number=Plur",
    "Tense=Past|VerbForm=Fin",
    "_",
    "other",
]


def names(data, split, task, row=0):
    """A sentence's labels as names of classes."""
    return [data.classes[task][label] for label in split.labels[task][row] if label >= 0]


@pytest.mark.parametrize("suffix", ["", ".xz", ".gz"])
@pytest.mark.parametrize("inner", ["", "treebank"])
def test_sentences_become_rows(tmp_path, suffix, inner):
    write_files(tmp_path / inner, suffix)
    data = treebank.load(tmp_path, max_words=6)
    assert data.sequences == ["words"]
    assert not data.categorical
    assert not data.numeric
    for split in (data.train, data.valid, data.test):
        assert split.columns["words"].tolist() == [list(s) for s in SENTENCES * 20]
        assert list(split.labels) == ["upos", "xpos", "feats", "deprel"]
        for labels in split.labels.values():
            assert labels.dtype == np.int32
            assert labels.shape == (60, 6)
            np.testing.assert_array_equal((labels >= 0).sum(1), [3, 2, 4] * 20)
    assert names(data, data.test, "upos", 2) == ["PRON", "VERB", "PROPN", "PUNCT"]
    assert names(data, data.test, "xpos", 2) == ["PRP", "VBD", "NNP", "."]
    assert names(data, data.test, "feats", 2) == [FEATS[0], FEATS[2], "_", "_"]
    assert names(data, data.test, "deprel", 2) == ["nsubj", "root", "obj", "punct"]
    assert data.train.take(np.array([2, 0])).columns["words"][1] == ["she", "ran", "!"]


def test_classes(tmp_path):
    data = treebank.load(write_files(tmp_path))
    assert data.classes["upos"] == sorted(UPOS)
    assert data.classes["deprel"] == sorted(RELATIONS)
    assert (len(UPOS), len(RELATIONS)) == (17, 37)
    assert (data.classes["xpos"], data.classes["feats"]) == (XPOS, FEATS)


def test_inflection_leaves_out_lexeme_and_spelling():
    feats = "Abbr=Yes|Case=Acc,Nom|Gender=Fem|Number=Sing|Person=3|PronType=Prs|Typo=Yes"
    assert inflection(feats) == "Case=Acc,Nom|Number=Sing|Person=3"
    assert inflection("PronType=Art") == inflection("_") == "_"


def test_rare_and_unseen_annotation_is_other(tmp_path):
    rare = "".join(map(sentence, [*[("she",)] * 20, *[("dogs",)] * 19]))
    data = treebank.load(write_files(tmp_path, texts={"train": rare}))
    assert data.classes["xpos"] == ["NNS", "PRP", "other"]
    assert data.classes["feats"] == [FEATS[0], "other"]
    assert names(data, data.train, "feats", 20) == ["other"]
    assert "other" not in names(data, data.train, "xpos", 20)
    assert names(data, data.test, "xpos") == ["PRP", "other", "other"]
    assert names(data, data.test, "feats") == [FEATS[0], "other", "other"]
    assert names(data, data.test, "deprel") == ["nsubj", "root", "punct"]


def test_long_sentences_are_cut_behind(tmp_path):
    data = treebank.load(write_files(tmp_path), max_words=2)
    assert data.train.columns["words"].tolist() == [list(s[:2]) for s in SENTENCES * 20]
    assert (data.train.labels["upos"] >= 0).all()
    assert names(data, data.train, "upos", 2) == ["PRON", "VERB"]


def test_only_syntactic_words_are_kept(tmp_path):
    surface = "1-2\tshe'd\t_\t_\t_\t_\t_\t_\t_\t_\n"
    empty = "1.1\tdid\tdo\tVERB\tVBD\t_\t_\t_\t_\t_\n"
    text = surface + word_line(1, "she") + empty + word_line(2, "ran") + "\n\n"
    data = treebank.load(write_files(tmp_path, texts={"test": text}))
    assert data.test.columns["words"].tolist() == [["she", "ran"]]
    assert names(data, data.test, "upos") == ["PRON", "VERB"]


def test_folder_from_the_environment_and_another_language(tmp_path, monkeypatch):
    write_files(tmp_path / "treebank", language="af_afribooms")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert len(treebank.load(language="af_afribooms").train) == 60
    with pytest.raises(FileNotFoundError, match="en_ewt-ud-train"):
        treebank.load()


def test_missing_files_say_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(FileNotFoundError, match=r"KERAS_MTL_DATA.*UD_English-EWT.*data_dir=None"):
        treebank.load()
    (tmp_path / "en_ewt-ud-train.conllu").write_text("")
    with pytest.raises(FileNotFoundError, match=r"en_ewt-ud-test\.conllu \(plain, \.xz or \.gz\)"):
        treebank.load(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"language": "en_ewd"}, ValueError, "`language` must be one of.*Did you mean 'en_ewt'"),
        ({"max_words": 0}, ValueError, "`max_words` must be an integer of at least 1"),
        ({"data_dir": 3}, TypeError, "`data_dir` must be the path of a folder"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        treebank.load(**arguments)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2\tran\trun", r"10 values, none empty, in line 8\. Received: '2\\tran\\trun'"),
        (word_line(2, "ran").strip() + "\t_", r"10 values.* line 8"),
        (word_line(2, "ran").replace("\tran", "\t", 1), r"10 values, none empty, in line 8"),
        (word_line(3, "ran"), r"the ID 2 in line 8\. Received: '3'"),
        (word_line(2, "ran").replace("VERB", "VRB"), r"a UPOS .* line 8\. Received: 'VRB'"),
        (word_line(2, "ran").replace("root", "rot:x"), r"a DEPREL .* line 8\. Received: 'rot'"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, message):
    lines = "".join(map(sentence, SENTENCES)).split("\n")
    lines[7] = line.rstrip("\n")
    folder = write_files(tmp_path, texts={"dev": "\n".join(lines)})
    with pytest.raises(ValueError, match=r"en_ewt-ud-dev\.conllu` must hold " + message):
        treebank.load(folder)


def test_text_in_another_encoding(tmp_path):
    path = write_files(tmp_path) / "en_ewt-ud-test.conllu"
    path.write_bytes(path.read_bytes().replace("東京".encode(), b"Z\xfcrich", 1))
    with pytest.raises(ValueError, match=r"text in UTF-8 in line 13\. Received: .*0xfc"):
        treebank.load(tmp_path)


@pytest.mark.parametrize("suffix", [".xz", ".gz"])
@pytest.mark.parametrize("kept", [slice(0, -30), slice(10, None)])
def test_a_file_cut_short_is_refused(tmp_path, suffix, kept):
    path = write_files(tmp_path, suffix) / f"en_ewt-ud-train.conllu{suffix}"
    path.write_bytes(path.read_bytes()[kept])
    with pytest.raises(ValueError, match="must be the publisher's, whole"):
        treebank.load(tmp_path)


def test_a_plain_file_cut_short_is_refused(tmp_path):
    path = write_files(tmp_path) / "en_ewt-ud-train.conllu"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"must end in an empty line.*cut short"):
        treebank.load(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="must end in an empty line"):
        treebank.load(tmp_path)


PUBLISHED = {
    "en_ewt": (
        {"upos": 17, "xpos": 50, "feats": 42, "deprel": 37},
        [(12_544, 203_623), (2_001, 25_135), (2_077, 25_047)],
        (81, 1_013, 254_818),
    ),
    "af_afribooms": (
        {"upos": 17, "xpos": 96, "feats": 21, "deprel": 37},
        [(1_315, 33_557), (194, 5_234), (425, 10_062)],
        (36, 405, 49_258),
    ),
}


@pytest.mark.parametrize("language", list(PUBLISHED))
def test_published_files_have_the_documented_sizes(language):
    if DATA_VARIABLE not in os.environ:
        pytest.skip(f"set {DATA_VARIABLE} to the folder that holds treebank")
    classes, sizes, (sentences_cut, words_cut, words) = PUBLISHED[language]
    data, whole = (treebank.load(language=language, max_words=size) for size in (64, 159))
    assert {task: len(known) for task, known in data.classes.items()} == classes
    assert whole.classes == data.classes
    splits = (data.train, data.valid, data.test)
    assert [(len(s), (s.labels["upos"] >= 0).sum()) for s in splits] == sizes
    lengths = [
        len(row)
        for split in (whole.train, whole.valid, whole.test)
        for row in split.columns["words"]
    ]
    cut = [length - 64 for length in lengths if length > 64]
    assert (sum(lengths), len(cut), sum(cut)) == (words, sentences_cut, words_cut)
    for split in splits:
        for task, labels in split.labels.items():
            assert labels.max() < classes[task]
        entries = [len(row) for row in split.columns["words"]]
        np.testing.assert_array_equal((split.labels["feats"] >= 0).sum(1), entries)
    unseen = classes["xpos"] - 1
    assert (data.train.labels["xpos"] < unseen).all()
    assert (data.test.labels["xpos"] == unseen).sum() == {"en_ewt": 0, "af_afribooms": 10}[language]


def test_tasks_of_the_classes(tmp_path):
    data = treebank.load(write_files(tmp_path))
    tasks = [Task(n, "multiclass", units=len(known)) for n, known in data.classes.items()]
    assert [task.units for task in tasks] == [17, 6, 5, 37]
