import textwrap

import keras
import pytest

import keras_mtl.study
from keras_mtl.study.commands import Options, _compared_runs
from keras_mtl.study.layered_toml import laid_over
from keras_mtl.study.sources import load_data
from keras_mtl.study.study_file import load_study


def runs(path, data="toy", seeds=(0,), **fit):
    return load_study(path).runs(data, seeds, fit=fit)


def test_a_run_holds_everything_that_decides_it(write_study):
    (run,) = runs(write_study())
    assert run.model_arguments == {
        "name": "ple",
        "levels": 1,
        "expert_units": [4],
        "tower_units": [],
    }
    assert (run.data, run.model, run.seed, run.source) == ("toy", "toy", 0, "toy_data:load")
    assert run.tasks == [{"name": "a"}, {"name": "b", "kind": "regression"}]
    assert run.fit == {"epochs": 2, "batch_size": 40}
    assert run.selection == {"monitor": "val_loss"}


def test_the_study_is_named_after_its_folder(write_study, place):
    (place / "ple").mkdir()
    write_study(name="ple/study.toml")
    assert load_study(place / "ple" / "study.toml").name == "ple"


def test_a_data_section_overrides_the_general_ones(write_study):
    path = write_study(more="[data.toy.model]\nlevels = 3\n[data.toy.fit]\nepochs = 7\n")
    (run,), (other,) = runs(path), runs(path, "table")
    assert (run.model_arguments["levels"], other.model_arguments["levels"]) == (3, 1)
    assert (run.fit, other.fit["epochs"]) == ({"epochs": 7, "batch_size": 40}, 2)


def test_the_command_line_overrides_the_file(write_study):
    (run,) = runs(write_study(("epochs = 2", "epochs = [2, 3]")), epochs=9)
    assert run.fit["epochs"] == 9


def test_grids_of_data_model_and_seeds_multiply(write_study):
    path = write_study(
        ("levels = 1", "levels = [1, 2]"),
        ('source = "toy_data:load"', 'source = "toy_data:load"\ncorrelation = [0.5, 1.0]'),
    )
    found = [(r.data, r.model, r.seed) for r in runs(path, seeds=[0, 1])]
    assert found[:3] == [
        ("toy correlation=0.5", "toy levels=1", 0),
        ("toy correlation=0.5", "toy levels=2", 0),
        ("toy correlation=0.5", "toy levels=1", 1),
    ]
    assert len(set(found)) == 8
    assert len({r.folder_name for r in runs(path, seeds=[0, 1])}) == 8


def test_an_argument_that_is_a_list_stays_one(write_study):
    (run,) = runs(
        write_study(('source = "toy_data:load"', 'source = "toy_data:load"\nweights = [1, 2]'))
    )
    assert run.data_arguments == {"weights": [1, 2]}


def test_a_task_may_say_none(write_study):
    (run,) = runs(write_study(('tasks = ["a",', 'tasks = [{ name = "a", missing = "none" },')))
    assert run.tasks[0] == {"name": "a", "missing": None}


def test_a_base_lies_below(write_study, place):
    write_study(name="common.toml")
    (place / "own.toml").write_text('base = "common.toml"\n[model]\nlevels = 5\n')
    (run,) = runs(place / "own.toml")
    assert (run.model_arguments["levels"], run.model_arguments["name"]) == (5, "ple")
    assert run.model == "own"


def test_a_table_of_another_class_replaces_the_whole_table():
    below = {"optimizer": {"class_name": "Adam", "beta_1": 0.5}}
    above = {"optimizer": {"class_name": "SGD"}}
    assert laid_over(below, above) == above
    assert laid_over(below, {"optimizer": {"beta_1": 0.6}}) == {
        "optimizer": {"class_name": "Adam", "beta_1": 0.6}
    }


def test_the_baseline_is_no_baseline_of_itself(write_study):
    path = write_study(name="single_task.toml")
    assert load_study(path).baseline_runs("toy", [0], fit={}) == []
    (run,) = load_study(write_study()).baseline_runs("toy", [0], fit={})
    assert (run.model, run.model_arguments["hidden_units"]) == ("single_task", [4])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("levels = 1", "levles = 1", r"`levles` in \[model\] .*Did you mean 'levels'\?"),
        ("[fit]\nepochs", "[fit]\nepoch", r"`epoch` in \[fit\] .*Did you mean 'epochs'\?"),
        ("[fit]\nepochs", "[fits]\nepochs", r"`fits` in .* Did you mean 'fit'\?"),
        ('name = "ple"', 'name = "plee"', "Did you mean 'ple'"),
        ("hidden_units = [4]", "hiden_units = [4]", r"\[baseline\] .*'hidden_units'"),
        ("embedding_dim", "embeding_dim", r"\[features\] .*'embedding_dim'"),
        ("bins", "bin", r"\[features.number\] .*'bins'"),
        ("[data.toy]", "[data.toy]\nrow = 3", r"`row` in \[data.toy\] .*'rows'"),
        ("[data.toy]", "[data.toy]\nrows = 3\ndata_dir = '/'", "`data_dir`"),
        ('kind = "regression"', 'knd = "regression"', r"`knd` in \[data.toy.tasks\] .*'kind'"),
        ('kind = "regression"', 'kind = "regresion"', "Did you mean 'regression'"),
        ('name = "b"', 'name = "a"', "must be unique"),
        ('title = "A toy"', "seeds = [0.5]", "must be a list of integers"),
        ("toy_data:load", "toy_data:laod", "must be importable"),
        ("toy_data:load", "toy", "must be one of"),
        ('tasks = ["a", {', 'taks = ["a", {', "must have `tasks`|`taks`"),
    ],
)
def test_a_wrong_key_is_refused_with_the_nearest_known_one(write_study, old, new, said):
    with pytest.raises(ValueError, match=said):
        load_study(write_study((old, new)))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[selection]\nmonitr = 'val_loss'", "Did you mean 'monitor'"),
        ("[compile]\noptimiser = 'adam'", "Did you mean 'optimizer'"),
        ("[compile.optimizer]\nclass_name = 'Adm'", "Did you mean 'Adam'"),
        ("[compile.optimizer]\nclass_name = 'Adam'\nlearning_rat = 1", "'learning_rate'"),
        ("[[fit.callbacks]]\nclass_name = 'EarlyStopping'\npatienc = 1", "'patience'"),
        ("[data.toy.model]\nlevles = 2", r"`levles` in \[model\]"),
    ],
)
def test_a_wrong_key_further_down_is_refused(write_study, more, said):
    with pytest.raises(ValueError, match=said):
        load_study(write_study(more=more))


def test_files_that_are_none(place):
    with pytest.raises(ValueError, match="must exist"):
        load_study(place / "nothing.toml")
    (place / "bad.toml").write_text("[model")
    with pytest.raises(ValueError, match="must be TOML"):
        load_study(place / "bad.toml")
    (place / "empty.toml").write_text("")
    with pytest.raises(ValueError, match=r"must have a section \[model\]"):
        load_study(place / "empty.toml")


def test_the_documented_example_is_a_study(tmp_path):
    lines = keras_mtl.study.__doc__.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("    base"))
    last = next(i for i, line in enumerate(lines) if "patience" in line)
    text = textwrap.dedent("\n".join(lines[first : last + 1]))
    (tmp_path / "common.toml").write_text("")
    (tmp_path / "ple").mkdir()
    (tmp_path / "ple" / "study.toml").write_text(text)
    study = load_study(tmp_path / "ple" / "study.toml")
    labels = [run.model for run in study.runs("census_income", study.seeds(), fit={})]
    assert labels == ["ple levels=1", "ple levels=2"]


def test_objects_of_keras_in_a_task_are_tables_as_elsewhere(write_study):
    loss = '{ name = "b", kind = "regression", loss = { class_name = "Huber", name = "mine" } }'
    (run,) = runs(write_study(('{ name = "b", kind = "regression" }', loss)))
    made = load_data(run).tasks[1].loss
    config = made if isinstance(made, dict) else keras.saving.serialize_keras_object(made)
    assert (config["class_name"], config["config"]["name"]) == ("Huber", "mine")


def test_the_seeds_of_the_file_hold_unless_the_command_says_others(write_study):
    study = load_study(write_study(('title = "A toy"', "seeds = [3, 5]")))
    for options, seeds in ((Options(), {3, 5}), (Options(seeds=[7]), {7})):
        compared = _compared_runs([study], "toy", options, boosted=False)
        assert {run.seed for run in compared} == seeds


def test_a_name_is_what_tables_say(write_study):
    study = load_study(write_study(('title = "A toy"', 'name = "mine"')))
    assert (study.name, study.runs("toy", [0], fit={})[0].model) == ("mine", "mine")
