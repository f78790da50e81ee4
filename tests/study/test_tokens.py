"""Studies of token tasks: sequences as inputs, labels (N, S), and the load of experts."""

import csv
import json

import numpy as np
import pytest

from keras_mtl import Task
from keras_mtl.__main__ import main
from keras_mtl.study import runner, serving_check, trees
from keras_mtl.study.budget import count_parameters
from keras_mtl.study.execution import execute
from keras_mtl.study.measures import known_rows
from keras_mtl.study.results import run_rows
from keras_mtl.study.sources import load_data
from keras_mtl.study.study_file import load_study
from keras_mtl.zoo import registry
from tests.study import tagger


@pytest.fixture
def study(place, monkeypatch):
    monkeypatch.setitem(registry._CONSTRUCTORS, "tagger", tagger.tagger)
    (place / "tags").mkdir()
    (place / "tags" / "study.toml").write_text(tagger.STUDY)
    (place / "tags" / "README.md").write_text(
        "# Tags\n<!-- measured: begin -->\n<!-- measured: end -->\n"
    )
    return place / "tags" / "study.toml"


def test_sequences_are_encoded_counted_and_served(study):
    (settings,) = load_study(study).runs("tokens", [0], fit={})
    assert settings.features["sequence"] == {"max_length": 6, "pooling": None}
    data = load_data(settings)
    assert data.inputs is data.table
    assert data.width == 3 + 3
    assert data.rows == (40, 40, 40)
    dense = {"name": "tagger", "hidden_units": [8]}
    count = 6 * 8 + 8 + 8 * 5 + 5 + 8 + 1
    assert count_parameters(dense, data.tasks, data.width) == count
    raw, packed = data.served_sample(7)
    lists = data.source.test.columns["word"][:7]
    longest = max(map(len, lists))
    assert raw["word"].shape == raw["ending"].shape == (7, longest)
    for sent, words in zip(raw["word"], lists, strict=True):
        padding = [b""] * (longest - len(words))
        assert sent.tolist() == [*(word.encode() for word in words), *padding]
    assert packed["word"].shape == (7, 6)


def test_a_run_measures_known_tokens_and_keeps_the_load(study, place):
    (settings,) = load_study(study).runs("tokens", [0], fit={"epochs": 6})
    execute([settings], place / "out", data_dir=None, verbose=0)
    folder = place / "out" / settings.folder_name
    record = json.loads((folder / "metrics.json").read_text())
    model, data = runner.keras.saving.load_model(folder / "model.keras"), load_data(settings)
    inputs, labels = data.test
    predicted, known = model.predict(inputs, verbose=0), labels["number"] >= 0
    right = predicted["number"].argmax(-1)[known] == labels["number"][known]
    assert record["test"]["number"]["accuracy"] == pytest.approx(right.mean(), abs=1e-6)
    scores = predicted["capital"][..., 0][known]
    auc = runner.exact_auc(labels["capital"][known], scores)
    assert record["test"]["capital"]["auc"] == pytest.approx(auc)
    load = record["experts"]["ffn"]
    assert load["load_0"] + load["load_1"] + load["load_2"] == pytest.approx(1, abs=1e-6)
    # That of the kept epoch: the restored weights give it again.
    logs = model.evaluate(*data.valid, batch_size=10, verbose=0, return_dict=True)
    assert load == pytest.approx({name: logs[f"moe/ffn/{name}"] for name in load}, abs=1e-5)
    assert not [name for name in (*record["valid"], *record["test"]) if "moe" in name]
    with (folder / "log.csv").open() as file:
        assert {"moe/ffn/load_0", "val_moe/ffn/load_1"} <= {*next(csv.reader(file))}
    of_experts = [row for row in run_rows(folder) if row["task"] == "moe/ffn"]
    told = {row["metric"]: float(row["value"]) for row in of_experts}
    assert told == pytest.approx(load, abs=1e-5)
    assert {row["split"] for row in of_experts} == {"valid"}


@pytest.mark.slow
def test_a_comparison_tells_differences_load_and_serves_tokens(study, place, capsys):
    assert main(["compare", str(study), "--seeds", "1", "--epochs", "1", "--cards"]) == 0
    said = capsys.readouterr().out
    assert "tags - dense" in said
    assert "minus single_task" not in said
    assert "least used" in said
    assert "ffn" in said
    card = (place / "tags" / "README.md").read_text()
    assert "](load.png)" in card
    for folder in (place / "tags", place / "runs" / "compare" / "tokens" / "001"):
        assert (folder / "load.png").read_bytes().startswith(b"\x89PNG")
    assert main(["run", str(study), "--epochs", "1"]) == 0
    said = capsys.readouterr().out
    assert "40 rows x 2 tasks differ from Keras' predictions by at most" in said
    assert "load.png" in said


def test_an_answer_of_another_shape_is_refused(study, monkeypatch, place):
    (settings,) = load_study(study).runs("tokens", [0], fit={})
    data = load_data(settings)
    model = tagger.tagger(data.inputs, data.tasks)
    model.save(place / "model.keras")
    raw, packed = data.served_sample(5)
    right = model.predict(packed, verbose=0)
    arguments = (place / "model.keras", place / "export", raw, packed)
    monkeypatch.setattr(serving_check, "answer", lambda *_: right)
    assert serving_check.largest_difference(*arguments) == 0.0
    short = {**right, "number": right["number"][:, :1]}
    monkeypatch.setattr(serving_check, "answer", lambda *_: short)
    with pytest.raises(RuntimeError, match=r"task 'number' .*\(5, 6, 5\)\. Received: \(5, 1, 5\)"):
        serving_check.largest_difference(*arguments)


def test_boosted_trees_refuse_lists_and_token_labels_before_anything_is_trained(
    study, place, capsys
):
    assert main(["compare", str(study), "--trees"]) == 2
    assert "columns of one value a row. Received: sequences=['word'" in capsys.readouterr().err
    assert not (place / "runs").exists()
    with pytest.raises(ValueError, match=r"one label a row .*labels=\(40, 6\)"):
        trees._check_task(
            load_data(*load_study(study).runs("tokens", [0], fit={})).tasks[0], (40, 6)
        )


def test_known_tokens_follow_the_mark_of_missing():
    labels = np.array([[1, -1], [0, -1]])
    task = token_task("auto")
    assert known_rows(task, labels).tolist() == [[True, False], [True, False]]
    assert known_rows(token_task(None), labels).all()


def token_task(missing):
    return Task("a", "multiclass", units=2, missing=missing)
