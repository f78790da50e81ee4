import csv
import json

import keras
import numpy as np
import pytest

from keras_mtl.study import execution, runner
from keras_mtl.study.execution import equal_budgets, execute
from keras_mtl.study.measures import exact_auc
from keras_mtl.study.sources import load_data
from keras_mtl.study.study_file import load_study
from keras_mtl.study.trees import tree_settings


def runs(path, data="toy", seeds=(0,)):
    return load_study(path).runs(data, seeds, fit={})


def run_all(settings, folder):
    return execute(settings, folder, data_dir=None, verbose=0)


def test_a_run_leaves_settings_log_metrics_and_model(write_study, place):
    (settings,) = runs(write_study())
    run_all([settings], place / "out")
    folder = place / "out" / settings.folder_name
    assert json.loads((folder / "settings.json").read_text()) == settings.to_dict()
    record = json.loads((folder / "metrics.json").read_text())
    with (folder / "log.csv").open() as file:
        log = list(csv.DictReader(file))
    assert len(log) == record["epochs"] == 2
    best = min(float(epoch["val_loss"]) for epoch in log)
    assert record["best_value"] == pytest.approx(best, rel=1e-5)
    assert float(log[record["best_epoch"] - 1]["val_loss"]) == pytest.approx(best, rel=1e-5)
    data = load_data(settings)
    model = keras.saving.load_model(folder / "model.keras")
    inputs, labels = data.test
    scores = model.predict(inputs, verbose=0)["a"][:, 0]
    assert record["test"]["a"]["auc"] == pytest.approx(exact_auc(labels["a"], scores))
    figures = model.evaluate(*data.valid, verbose=0, return_dict=True)
    assert figures["loss"] == pytest.approx(best, rel=1e-4)


def test_results_hold_every_figure_with_seed_settings_and_versions(write_study, place):
    rows = run_all(runs(write_study(), seeds=[0, 3]), place / "out")
    assert {row["seed"] for row in rows} == {"0", "3"}
    assert {row["split"] for row in rows} == {"valid", "test"}
    assert {(row["task"], row["metric"]) for row in rows} >= {("a", "auc"), ("b", "mse")}
    assert rows[0]["keras"] == keras.version()
    assert json.loads(rows[0]["settings"])["model_arguments"]["name"] == "ple"
    assert int(rows[0]["parameters"]) > 0


def test_the_same_seed_gives_the_same_figures(write_study, place):
    settings = runs(write_study())
    first, second = run_all(settings, place / "1"), run_all(settings, place / "2")
    other = run_all(runs(write_study(), seeds=[1]), place / "3")
    values = [[row["value"] for row in rows] for rows in (first, second, other)]
    assert values[0] == values[1] != values[2]


def test_an_interrupted_study_goes_on_where_it_stopped(write_study, place, monkeypatch):
    settings = runs(write_study(), seeds=[0, 1])
    train, trained = runner.train, []

    def power_cut(run, *arguments, **options):
        if len(trained) == 1:
            raise KeyboardInterrupt
        trained.append(run.seed)
        train(run, *arguments, **options)

    monkeypatch.setattr(execution.runner, "train", power_cut)
    with pytest.raises(KeyboardInterrupt):
        run_all(settings, place / "out")
    assert not (place / "out" / "results.csv").exists()

    def resumed(run, *arguments, **options):
        trained.append(run.seed)
        train(run, *arguments, **options)

    monkeypatch.setattr(execution.runner, "train", resumed)
    rows = run_all(settings, place / "out")
    assert trained == [0, 1]
    assert {row["seed"] for row in rows} == {"0", "1"}


def test_a_run_that_fails_leaves_no_folder_of_its_name(write_study, place):
    (settings,) = runs(write_study(more="[selection]\nmonitor = 'val_c_auc'\n"))
    with pytest.raises(ValueError, match="Did you mean 'val_a_auc'"):
        run_all([settings], place / "out")
    assert not (place / "out" / settings.folder_name).exists()


def test_seeds_draw_their_own_data_unless_the_file_says_which(write_study):
    first, second = (load_data(run) for run in runs(write_study(), seeds=[0, 1]))
    assert not np.array_equal(first.train[0], second.train[0])
    fixed = write_study(("[data.toy]", "[data.toy]\nseed = 5"))
    first, second = (load_data(run) for run in runs(fixed, seeds=[0, 1]))
    assert np.array_equal(first.train[0], second.train[0])


def test_columns_are_encoded_by_a_table_that_saw_only_training_rows(write_study, place):
    (settings,) = runs(write_study(), data="table")
    data = load_data(settings)
    assert data.width == 2 + 2
    assert data.table.vocabulary("city")
    run_all([settings], place / "out")
    model = keras.saving.load_model(place / "out" / settings.folder_name / "model.keras")
    assert model.features is not None


def test_a_cosine_schedule_ends_with_the_training(write_study):
    cosine = "[compile.optimizer]\nclass_name = 'Adam'\n[compile.optimizer.learning_rate]\n"
    more = cosine + "class_name = 'CosineDecay'\ninitial_learning_rate = 0.1\n"
    (settings,) = runs(write_study(more=more))
    model = runner.compiled_model(settings, load_data(settings))
    assert runner.training_steps(settings, load_data(settings)) == 6
    assert model.optimizer.get_config()["learning_rate"]["config"]["decay_steps"] == 6


def test_baselines_get_the_budget_of_the_model(write_study):
    study = load_study(write_study())
    own = study.runs("toy", [0, 1], fit={})
    matched = equal_budgets(study.baseline_runs("toy", [0, 1], fit={}), own, None)
    assert [run.seed for run in matched] == [0, 1]
    assert all(run.model_arguments["hidden_units"] != [4] for run in matched)


@pytest.mark.slow
def test_boosted_trees_are_a_run_like_any_other(write_study, place):
    (settings,) = runs(write_study(), data="table")
    rows = run_all([settings, tree_settings(settings)], place / "out")
    trees = {
        (row["task"], row["metric"]): float(row["value"])
        for row in rows
        if row["model"] == "boosted_trees" and row["split"] == "test"
    }
    assert trees["a", "auc"] == 1.0
    assert trees["b", "mse"] < 0.2
