"""Beyond 8 tasks a line can be read; the history holds every figure."""

import re

import keras
import numpy as np
import pytest

from keras_mtl import Task, zoo

ROWS = 12
RNG = np.random.default_rng(7)
X = RNG.normal(size=(ROWS, 3))


def made(num_tasks):
    """A model of binary tasks, two of them of values."""
    kinds = ["regression" if index < 2 else "binary" for index in range(num_tasks)]
    tasks = [Task(f"t_{index}", kind) for index, kind in enumerate(kinds)]
    model = zoo.shared_bottom(3, tasks, bottom_units=2, tower_units=(), seed=0)
    model.compile("sgd", run_eagerly=True)
    return model, {task.name: RNG.permutation(ROWS) % 2 for task in tasks}


@pytest.fixture(scope="module")
def many():
    return made(9)


def last_line(text):
    """Names and numbers of the last line that a bar wrote."""
    line = [part for part in re.split(r"[\r\n]", text) if " - loss:" in part][-1]
    return {name: float(value) for name, value in re.findall(r"- (\S+): (\S+)", line)}


@pytest.mark.parametrize("verbose", [1, 2, "auto"])
def test_a_line_shows_the_loss_and_the_mean_of_each_metric(many, capsys, verbose):
    model, y = many
    fit = {"validation_data": (X, y), "batch_size": 4, "verbose": verbose}
    history = model.fit(X, y, **fit).history
    shown = last_line(capsys.readouterr().out)
    metrics = ("auc", "mse", "mae")
    assert set(shown) == {
        *("loss", "val_loss", "val_mean"),
        *(f"{part}mean_{metric}" for part in ("", "val_") for metric in metrics),
    }
    for part in ("", "val_"):
        for metric in metrics:
            figures = [
                v[-1] for k, v in history.items() if re.fullmatch(rf"{part}t_\d_{metric}", k)
            ]
            assert len(figures) == (7 if metric == "auc" else 2)
            assert shown[f"{part}mean_{metric}"] == pytest.approx(np.mean(figures), abs=1e-4)
    main = [history[f"val_t_{index}_auc"][0] for index in range(2, 9)]
    main += [-history[f"val_t_{index}_mse"][0] for index in range(2)]
    assert history["val_mean"] == pytest.approx([np.mean(main)])
    assert shown["val_mean"] == pytest.approx(np.mean(main), abs=1e-4)
    assert {f"{part}t_{index}_loss" for part in ("", "val_") for index in range(9)} <= {*history}


def test_an_evaluation_is_as_short(many, capsys):
    model, y = many
    logs = model.evaluate(X, y, return_dict=True, verbose=1)
    assert set(last_line(capsys.readouterr().out)) == {"loss", "mean_auc", "mean_mse", "mean_mae"}
    assert len(logs) == 1 + 9 + 7 + 2 * 2
    model.evaluate(X, y, verbose=0)
    assert capsys.readouterr().out == ""


def test_a_bar_of_ones_own_shows_what_it_likes(many, capsys):
    class Own(keras.callbacks.ProgbarLogger):
        def on_epoch_end(self, epoch, logs=None):
            self.keys = set(logs)
            super().on_epoch_end(epoch, logs)

    model, y = many
    for bar in (Own(), keras.callbacks.ProgbarLogger()):
        model.fit(X, y, verbose=2, callbacks=[bar])
        lines = [line for line in capsys.readouterr().out.splitlines() if "loss" in line]
        assert len(lines) == 1
        assert "t_8_auc" in lines[0]
    model.fit(X, y, verbose=0)
    assert capsys.readouterr().out == ""


def test_the_mean_can_be_monitored(many):
    model, y = many
    best = keras.callbacks.EarlyStopping("val_mean", mode="max", patience=0)
    history = model.fit(X, y, validation_data=(X, y), epochs=2, callbacks=[best], verbose=0).history
    assert best.best == max(history["val_mean"])


def test_a_task_without_labels_is_in_no_mean(many, capsys):
    model, y = many
    nothing = y | {"t_8": np.full(ROWS, -1)}
    with pytest.warns(UserWarning, match="No labels of task 't_8'"):
        logs = model.evaluate(X, nothing, return_dict=True, verbose=2)
    shown = last_line(capsys.readouterr().out)
    assert shown["mean_auc"] == pytest.approx(
        np.mean([logs[f"t_{index}_auc"] for index in range(2, 8)]), abs=1e-4
    )


def test_up_to_eight_tasks_are_shown_one_by_one(capsys):
    model, y = made(8)
    history = model.fit(X, y, verbose=2).history
    assert set(last_line(capsys.readouterr().out)) == set(history)
    assert "val_mean" not in history
