"""A value of the wrong type, for every key of a study file: a sentence that names the key."""

import pytest

from keras_mtl.checks import did_you_mean
from keras_mtl.study import schema
from keras_mtl.study.execution import check_models
from keras_mtl.study.sections import SECTIONS
from keras_mtl.study.study_file import load_study
from keras_mtl.task import Task
from tests.study.conftest import STUDY

PLE = {
    "name": "3",
    "levels": '"two"',
    "shared_experts": "1.5",
    "task_experts": "true",
    "expert_units": '"wide"',
    "expert": '"dense"',
    "gate_units": "{ a = 1 }",
    "tower_units": '"wide"',
    "heads": "[1, 2]",
    "activation": "{ a = 1 }",
    "normalization": "true",
    "dropout": '"much"',
    "kernel_regularizer": '"l3"',
    "seed": "0.5",
}
CATEGORY = {
    "vocabulary": "3",
    "hash_buckets": '"many"',
    "min_count": "0.5",
    "dim": "true",
    "missing": "{ a = 1 }",
}
# By section, a value of the wrong type for each of its keys.
WRONG = {
    "model": PLE,
    "baseline": {"name": "false", "hidden_units": "0.5", "dropout": "[true]"},
    "against.other": {"name": "[3]", "bottom_units": '"wide"'},
    "fit": {
        "batch_size": '"large"',
        "epochs": "0",
        "verbose": '"loud"',
        "callbacks": '"EarlyStopping"',
        "shuffle": '"yes"',
        "class_weight": "[1, 2]",
        "steps_per_epoch": "-1",
        "validation_steps": "2.5",
        "validation_batch_size": "true",
    },
    "compile": {
        "optimizer": "0.001",
        "loss": "3",
        "loss_weights": '"equal"',
        "metrics": "3",
        "weighted_metrics": "true",
        "run_eagerly": '"yes"',
        "steps_per_execution": '"often"',
        "jit_compile": '"maybe"',
        "auto_scale_loss": "1",
    },
    "compile.optimizer": {
        "class_name": "3",
        "learning_rate": '"fast"',
        "amsgrad": '"yes"',
        "beta_1": "true",
    },
    "selection": {"monitor": "3", "mode": '"most"', "patience": '"long"'},
    "data.toy": {
        "source": "3",
        "tasks": "3",
        "features": '"all"',
        "model": "3",
        "baseline": '"single_task"',
        "against": "true",
        "compile": "[1]",
        "fit": "3",
        "selection": '"val_loss"',
        "rows": '"all"',
        "correlation": "true",
        "names": '"a"',
        "weights": "1",
        "seed": "[true]",
    },
    "data.drawn": {
        "num_tasks": "0.5",
        "correlation": '"high"',
        "num_train": "true",
        "num_valid": '"many"',
        "num_test": "1.5",
        "num_features": "{ a = 1 }",
        "num_sines": '"few"',
        "scale": "false",
        "noise": '"none"',
        "seed": '"s"',
    },
    "data.table.features": {
        "category": "3",
        "number": '"bins"',
        "sequence": "true",
        "embedding_dim": "0.5",
        "embeddings_initializer": "3",
        "embeddings_regularizer": "3",
        "seed": '"s"',
    },
    "data.table.features.category": CATEGORY,
    "data.table.features.number": {
        "bins": '"many"',
        "dim": "0.5",
        "transform": "3",
        "encoding": "[1]",
    },
    "data.table.features.sequence": CATEGORY
    | {
        "max_length": '"long"',
        "keep": "1",
        "pooling": "true",
        "ngrams": "4",
        "ngram_buckets": "0.5",
        "max_ngrams": "true",
    },
}
TASK = {
    "kind": "3",
    "units": '"two"',
    "missing": "[1]",
    "given": "3",
    "trained_on": "true",
    "weight_column": "3",
    "group_column": "[1]",
    "loss": '"no_loss"',
    "metrics": '"no_metric"',
    "weight": '"heavy"',
    "class_weight": "[1, 2]",
}
TOP = {
    "base": "3",
    "name": "3",
    "title": "3",
    "seeds": "3",
    "data": "3",
    "model": '"ple"',
    "baseline": '"single_task"',
    "against": "3",
    "compile": '"adam"',
    "fit": "[1]",
    "selection": '"val_loss"',
}
# What lies in none of the sections of the toy study.
MORE = """
[against.other]
name = "shared_bottom"

[compile]
run_eagerly = false

[compile.optimizer]
class_name = "Adam"

[selection]
monitor = "val_mean"

[data.table.features.category]
min_count = 1

[data.table.features.sequence]
max_length = 3

[data.drawn]
source = "synthetic_tasks"
tasks = [{ name = "task_0", kind = "regression" }]
num_train = 20
"""


def every(wrong):
    """A test for each section, key and value."""
    cases = [(where, key, value) for where, keys in wrong.items() for key, value in keys.items()]
    return pytest.mark.parametrize(("where", "key", "value"), cases)


def refusal(path):
    """The sentence by which a study is refused before anything is trained or written."""
    with pytest.raises(ValueError, match="Received") as refused:
        prepare(path)
    return str(refused.value)


def prepare(path):
    """What happens to a study before it is trained."""
    study = load_study(path)
    for data in study.data_names:
        check_models([*study.runs(data, [0], fit={}), *study.against_runs(data, [0], fit={})], None)


def with_key(text, where, key, value):
    """The study with one key of one section set, or set anew."""
    before, header, after = text.partition(f"\n[{where}]\n")
    assert header, where
    body, rest, others = after.partition("\n[")
    lines = [line for line in body.splitlines() if line.partition(" = ")[0] != key]
    nested = f"{where}.{key}"
    return before + header + "\n".join([f"{key} = {value}", *lines]) + rest + others, nested


@pytest.fixture
def write(place):
    def written(where, key, value):
        text, nested = with_key(whole(), where, key, value)
        # A key that is a section elsewhere in the file cannot be a value as well.
        kept = [
            part for part in text.split("\n[") if not part.startswith((f"{nested}]", f"{nested}."))
        ]
        (place / "toy.toml").write_text("\n[".join(kept))
        return place / "toy.toml"

    return written


def whole():
    """The toy study with a section for everything."""
    inline = "features = { embedding_dim = 2, number = { bins = 4 } }\n"
    assert inline in STUDY
    sections = (
        "\n[data.table.features]\nembedding_dim = 2\n\n[data.table.features.number]\nbins = 4\n"
    )
    return STUDY.replace(inline, "") + sections + MORE


def test_the_study_itself_is_one(place):
    (place / "toy.toml").write_text(whole())
    prepare(place / "toy.toml")


@every(WRONG)
def test_a_wrong_type_gets_a_sentence(write, where, key, value):
    assert key in refusal(write(where, key, value))


@pytest.mark.parametrize(("key", "value"), TASK.items())
def test_a_wrong_type_in_a_task_gets_a_sentence(write, key, value):
    path = write("data.toy", "tasks", f'[{{ name = "a", {key} = {value} }}]')
    said = refusal(path)
    assert key in said or value.strip('"') in said


@pytest.mark.parametrize("value", ["3", "[3]", "[[]]", "[{ kind = 'binary' }]", "[]"])
def test_tasks_that_are_none_get_a_sentence(write, value):
    said = refusal(write("data.toy", "tasks", value))
    assert "tasks" in said


@pytest.mark.parametrize(("key", "value"), TOP.items())
def test_a_wrong_type_at_the_top_gets_a_sentence(place, key, value):
    parts = [p for p in whole().split("\n[") if not p.startswith((f"{key}]", f"{key}."))]
    text = "\n[".join(parts)
    (place / "toy.toml").write_text(f"{key} = {value}\n" + text.replace('title = "A toy"', ""))
    assert key in refusal(place / "toy.toml")


def test_every_key_is_tried(write_study):
    expected = {
        "model": schema.model_schema("ple"),
        "fit": schema.fit_schema(),
        "compile": schema.compile_schema(),
        "selection": schema.selection_schema(),
        "data.drawn": schema.data_schema("synthetic_tasks"),
        "data.table.features": schema.features_schema(),
    }
    for kind, of_kind in schema.features_schema().children.items():
        expected[f"data.table.features.{kind}"] = of_kind
    for where, section in expected.items():
        assert section.known == WRONG[where].keys(), where
    assert schema.schema_of(Task).known == {"name", *TASK}
    assert set(SECTIONS) == TOP.keys()


@every(WRONG)
def test_an_unknown_key_is_refused_with_the_nearest(write, where, key, value):
    wrong = key[:-1] + "_x"
    said = refusal(write(where, wrong, value))
    assert f"Key `{wrong}`" in said
    assert not did_you_mean(wrong, [key]) or "Did you mean" in said


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ("data.toy", "weights", "[1979-05-27, 1]"),
        ("fit", "epochs", "1979-05-27"),
        ("data.toy", "rows", "07:32:00"),
    ],
)
def test_dates_are_refused(write, where, key, value):
    assert "must be a string where it is a date or a time" in refusal(write(where, key, value))


@pytest.mark.parametrize(
    ("where", "key", "value", "said"),
    [
        ("fit", "epochs", '"three"', "Key `epochs` in [fit] must be an integer of at least 1. "),
        ("fit", "epochs", "[3, true]", "Received: epochs=True"),
        (
            "model",
            "levels",
            "[]",
            "Key `levels` in [model] must be an integer. Received: levels=[]",
        ),
        ("selection", "patience", "-1", "Argument `patience` must be an integer of at least 0"),
        (
            "compile.optimizer",
            "learning_rate",
            '{ class_name = "CosineDecay" }',
            "the key `initial",
        ),
        ("data.table.features.number", "bins", "-3", "Argument `bins`"),
    ],
)
def test_sentences_say_what_was_expected_and_what_came(write, where, key, value, said):
    assert said in refusal(write(where, key, value))


def test_a_base_that_comes_back_to_itself_is_refused(place):
    (place / "a.toml").write_text('base = "b.toml"')
    (place / "b.toml").write_text('base = "a.toml"')
    with pytest.raises(ValueError, match="must not come back"):
        load_study(place / "a.toml")


def test_seeds_are_each_given_once(write_study):
    for seeds in ("[0, 0]", "[-1]", "[]", "[true]"):
        with pytest.raises(ValueError, match="Key `seeds` must be a list of integers"):
            load_study(write_study(('title = "A toy"', f"seeds = {seeds}")))


@pytest.mark.parametrize("name", ["'a/b'", "'..'", "'a b'"])
def test_a_data_section_that_names_no_folder_is_refused(write_study, name):
    with pytest.raises(ValueError, match="names a folder"):
        load_study(write_study(more=f"[data.{name}]\ntasks = ['a']\n"))


def test_the_word_none_in_selection_is_none(write_study):
    study = load_study(write_study(more="[selection]\npatience = 'none'\n"))
    (settings,) = study.runs("toy", [0], fit={})
    assert settings.selection["patience"] is None


def test_a_list_of_metrics_is_one_value_and_a_name_alone_a_list_of_tasks(write_study):
    path = write_study(('tasks = ["a", {', 'tasks = "a" # {'), more="[compile]\nmetrics = ['mae']")
    (settings,) = load_study(path).runs("toy", [0], fit={})
    assert settings.compile == {"metrics": ["mae"]}
    assert settings.tasks == [{"name": "a"}]
