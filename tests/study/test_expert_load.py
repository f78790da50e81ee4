"""What sparse experts did: from logs to rows, a table and a picture."""

import json
import math

import pytest

from keras_mtl.study import load_picture
from keras_mtl.study.cards import measured_section, write_card
from keras_mtl.study.expert_load import kept_load, loads_of
from keras_mtl.study.measures import by_task
from keras_mtl.study.report import expert_loads
from keras_mtl.study.results import write_results
from tests.study.test_cards import BEGIN, END, ROWS, row


def told(layer, seed, model="moe", experts=None, **figures):
    settings = {"tasks": [{"name": "income"}], "model_arguments": {"num_experts": experts}}
    columns = {"task": f"moe/{layer}", "split": "valid", "settings": json.dumps(settings)}
    return [row(model, seed, value, metric=name, **columns) for name, value in figures.items()]


# As Keras sorts them, `load_10` before `load_2`.
MANY = {f"load_{expert}": expert / 66 for expert in sorted(range(12), key=str)}
LOADS = [
    *told("first", 0, load_0=0.5, load_1=0.3, load_2=0.2, dropped=0.01, entropy=1.0),
    *told("first", 1, load_0=0.1, load_1=0.7, load_2=0.2, dropped=0.03, entropy=1.0),
    *told("second", 0, **MANY, dropped=0.0),
    *told("wide", 0, experts=64, load_max=0.1, load_min=0.001, dropped=0.2),
]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    figures, save = [], load_picture.save

    def kept(figure, path):
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(load_picture, "save", kept)
    return figures


def test_the_kept_epoch_of_the_validation_rows_is_kept():
    history = {
        "loss": [1.0, 2.0],
        "moe/a/load_0": [0.9, 0.9],
        "val_moe/a/load_0": [0.1, 0.2],
        "val_moe/a/dropped": [0.0, 0.5],
        "val_moe/b/load_0": [0.3, 0.4],
    }
    assert kept_load(history, 1) == {"a": {"load_0": 0.2, "dropped": 0.5}, "b": {"load_0": 0.4}}
    assert kept_load({"val_loss": [1.0]}, 0) == {}


def test_no_task_takes_them_for_its_own():
    logs = {"moe/ffn/load_0": 0.5, "moe_loss": 1.0}
    assert by_task(logs, ["moe", "m"]) == {"m": {}, "moe": {"loss": 1.0}}


def test_loads_are_by_layer_and_expert_over_seeds():
    first, second, wide = loads_of([*ROWS, *LOADS])
    assert first.shares == {"0": [0.5, 0.1], "1": [0.3, 0.7], "2": [0.2, 0.2]}
    assert (first.even, first.title) == (1 / 3, "first, dropped 2.0 %")
    assert [*second.shares] == [str(expert) for expert in range(12)]
    assert wide.shares == {"least used": [0.001], "most used": [0.1]}
    assert wide.even == 1 / 64


def test_what_a_layer_does_not_tell_is_left_out():
    other = told("other", 0, entropy=1.0)
    (load,) = loads_of([*told("wide", 0, load_min=0.1, load_max=0.2), *other])
    assert math.isnan(load.even)
    assert load.title == "wide"
    assert expert_loads(other) == ""


def test_the_table_tells_the_mean_of_the_extremes_of_each_seed():
    line = expert_loads(LOADS).splitlines()[4]
    assert line.split() == ["census", "moe", "first", "0.1500", "0.6000", "0.3333", "0.0200"]
    assert expert_loads(ROWS) == ""


def test_the_picture_has_a_panel_a_layer_and_a_bar_an_expert(tmp_path, drawn):
    load_picture.draw(LOADS, tmp_path / "load.png")
    (figure,) = drawn
    panels = [axis for axis in figure.axes if axis.patches]
    assert [len(axis.patches) for axis in panels] == [3, 12, 2]
    assert [bar.get_height() for bar in panels[0].patches] == pytest.approx([0.3, 0.5, 0.2])
    dots = [line for line in panels[0].lines if line.get_linestyle() == "None"]
    assert sorted(y for line in dots for y in line.get_ydata()) == [0.1, 0.2, 0.2, 0.3, 0.5, 0.7]
    (even,) = [line for line in panels[0].lines if line.get_linestyle() == ":"]
    assert even.get_ydata()[0] == 1 / 3
    assert "dropped 2.0 %" in panels[0].get_title(loc="left")


def test_a_card_shows_the_picture_only_where_there_are_experts(tmp_path):
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    write_results(tmp_path / "results.csv", ROWS)
    write_card(tmp_path)
    assert not (tmp_path / "load.png").exists()
    assert "load.png" not in measured_section(ROWS)
    write_results(tmp_path / "results.csv", [*ROWS, *LOADS])
    write_card(tmp_path)
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "README.md").read_text()
    assert "](load.png)" in text
    assert measured_section([*ROWS, *LOADS]) in text
