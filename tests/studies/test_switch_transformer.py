"""The study of tokens: made-up sentences, and dense models that are equal in what they claim."""

import os
from pathlib import Path

import numpy as np
import pytest

from keras_mtl import Task, datasets
from keras_mtl.study.budget import count_parameters
from keras_mtl.study.study_file import load_study
from zoo.switch_transformer import sentences

STUDY = load_study(Path(sentences.__file__).with_name("study.toml"))


def test_sentences_say_what_their_labels_say():
    data = sentences.load(num_train=40, num_valid=5, num_test=5, max_words=6, seed=1)
    for row, words in enumerate(data.train.columns["words"]):
        vowels = ["aeiou".index(word[-1]) for word in words]
        padding = [-1] * (6 - len(words))
        assert data.train.labels["ending"][row].tolist() == vowels + padding
        assert data.train.labels["previous"][row].tolist() == [5, *vowels[:-1], *padding]
    again = sentences.load(num_train=40, num_valid=5, num_test=5, max_words=6, seed=2)
    assert data.train.columns["words"].tolist() != again.train.columns["words"].tolist()


@pytest.mark.parametrize("data", STUDY.data_names)
def test_dense_models_are_equal_in_compute_or_in_parameters(data):
    (sparse,) = STUDY.runs(data, [0], fit={})
    compute, parameters = (run.model_arguments for run in STUDY.against_runs(data, [0], fit={}))
    own = {key: value for key, value in sparse.model_arguments.items() if key != "num_experts"}
    assert compute == {**own, "sparse_every": 0}
    assert {**parameters, "hidden_units": own["hidden_units"]} == compute
    tasks = [Task(**task) for task in sparse.tasks]
    counts = [
        count_parameters(arguments, tasks, sparse.features["embedding_dim"])
        for arguments in (sparse.model_arguments, parameters)
    ]
    assert counts[1] == pytest.approx(counts[0], rel=0.01)


@pytest.mark.skipif("KERAS_MTL_DATA" not in os.environ, reason="needs the treebank's files")
def test_tasks_have_the_treebank_s_classes_and_length():
    (settings,) = STUDY.runs("treebank", [0], fit={})
    data = datasets.treebank.load(**settings.data_arguments)
    assert {task["name"]: task["units"] for task in settings.tasks} == {
        name: len(classes) for name, classes in data.classes.items()
    }
    length = settings.features["sequence"]["max_length"]
    assert {labels.shape[1] for labels in data.train.labels.values()} == {length}
    assert settings.model_arguments["max_length"] >= length
    assert np.max([len(words) for words in data.train.columns["words"]]) == length
