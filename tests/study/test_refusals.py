"""Study files made by hand: each ends in one sentence with file and key, and exit status 2."""

import os

import pytest

from keras_mtl.__main__ import main
from keras_mtl.study.names import folder_of
from keras_mtl.study.study_file import load_study
from tests.study.conftest import STUDY

# What is replaced in the toy study, what stands there instead, and what the sentence names.
REPLACED = [
    ("epochs = 2", 'epochs = "3"', "`epochs` in [fit]"),
    ("levels = 1", "levels = 0", "`levels`"),
    ("levels = 1", "levels = [1, 1]", "twice: toy levels=1"),
    ("expert_units = [4]", "expert_units = [99999999999999999999]", "The model 'toy'"),
    ("toy_data:load", "..:load", "'..:load'"),
    ("toy_data:load", "builtins:map", "'builtins:map'"),
    ("toy_data:load", "broken_data:load", "broken_data.py, line 1"),
    ("[data.toy]", "[data.toy]\nrows = -1", "'toy_data:load'"),
    ("[data.toy]", '[data."../../../escaped"]', "'../../../escaped'"),
    ("[data.toy]", '[data."=HYPERLINK(1)"]', "'=HYPERLINK(1)'"),
    ("[data.toy]", "[data.-x]", "'-x'"),
    ('title = "A toy"', 'title = "two\\nlines"', "`title`"),
    ('title = "A toy"', 'title = "\\u001b[31mred"', "`title`"),
    ('title = "A toy"', "seeds = 3", "`seeds`"),
    ('title = "A toy"', "seeds = []", "`seeds`"),
    ('title = "A toy"', "seeds = [4294967296]", "`seeds`"),
    ('title = "A toy"', 'name = ".."', "`name`"),
    ('title = "A toy"', f'name = "{"x" * 300}"', "`name`"),
    ('title = "A toy"', 'base = "toy.toml"', "`base`"),
    ('title = "A toy"', 'base = "nothing.toml"', "`base`"),
    ('title = "A toy"', 'base = ""', "`base`"),
    ('title = "A toy"', 'base = "a\\u0000b"', "`base`"),
    ('title = "A toy"', f'base = "{"a" * 5000}"', "`base`"),
    ('title = "A toy"', 'base = "loop.toml"', "`base`"),
]
ADDED = [
    ("[selection]\nmonitor = ['val_loss', 'val_mean']", "`monitor` in [selection]"),
    ("[compile]\noptimizer = 'adamm'", "[compile]"),
    ("[compile.optimizer]\nclass_name = 'AUC'", "[compile]"),
    ("[compile.optimizer]\nclass_name = 'builtins:type'", "[compile]"),
    ("[compile.optimizer]\nclass_name = 'Adam'\nconfig = 3", "[compile]"),
    ("[[fit.callbacks]]\nclass_name = 'Adam'", "`callbacks` in [fit]"),
    ("[[fit.callbacks]]\nclass_name = 'ReduceLROnPlateau'\nfactor = 2.0", "[fit]"),
    ("[fit" + ".a" * 3000 + "]\nx = 1", "nest"),
    ("[against.'../x']\nname = 'mmoe'", "'../x'"),
    (
        "[against.x_y]\nname = 'mmoe'\n[against.x-y]\nname = 'mmoe'\nnum_experts = 2",
        "x_y on toy, seed 0; x-y on toy",
    ),
]
BYTES = [
    (b'title = "\xff"', "must be TOML"),
    (STUDY.encode("utf-16"), "must be TOML"),
    (b"a = " + b"[" * 5000 + b"]" * 5000, "must be TOML"),
    (b"[model", "must be TOML"),
    (b"", "[model]"),
]


def refusal(capsys, *arguments):
    """The one line on which a command refuses what it was told."""
    assert main([*arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("keras-mtl: ")
    return line


def check_refused(place, capsys, said):
    (place / "broken_data.py").write_text("def load(:\n")
    os.symlink("loop.toml", place / "loop.toml")
    for command in ("run", "compare"):
        line = refusal(capsys, command, "toy.toml")
        assert "toy.toml" in line
        assert said in line
    assert not (place / "runs").exists()
    assert not (place / "escaped").exists()


@pytest.mark.parametrize(("old", "new", "said"), REPLACED)
def test_a_study_with_a_wrong_key_is_refused_by_file_and_key(
    write_study, place, capsys, old, new, said
):
    write_study((old, new))
    check_refused(place, capsys, said)


@pytest.mark.parametrize(("more", "said"), ADDED)
def test_a_study_with_a_wrong_section_is_refused_by_file_and_key(
    write_study, place, capsys, more, said
):
    write_study(more=f"\n{more}\n")
    check_refused(place, capsys, said)


@pytest.mark.parametrize(("text", "said"), BYTES)
def test_a_file_that_is_no_study_is_refused_by_its_name(place, capsys, text, said):
    (place / "toy.toml").write_bytes(text)
    check_refused(place, capsys, said)


def test_a_file_over_another_is_refused_by_both_names(write_study, place, capsys):
    write_study(("epochs = 2", 'epochs = "3"'), name="common.toml")
    (place / "own.toml").write_text('base = "common.toml"\n')
    assert "own.toml (over common.toml): Key `epochs`" in refusal(capsys, "run", "own.toml")


@pytest.mark.parametrize("seed", ["4294967296", "-1", "x"])
def test_seeds_that_numpy_does_not_take_are_refused(capsys, seed):
    with pytest.raises(SystemExit) as refused:
        main(["run", "toy.toml", "--seed", seed])
    assert refused.value.code == 2
    assert "argument --seed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "name"),
    [("...toml", "study"), ("=HYPERLINK(1).toml", "HYPERLINK-1"), ("my study.toml", "my-study")],
)
def test_a_file_whose_name_is_no_label_gets_one(write_study, file, name):
    assert load_study(write_study(name=file)).name == name


def test_a_file_that_is_called_as_boosted_trees_needs_another_name(write_study):
    with pytest.raises(ValueError, match=r"boosted_trees\.toml: Key `name` must be given"):
        load_study(write_study(name="boosted_trees.toml"))


def test_runs_that_differ_in_a_sign_have_folders_of_their_own(write_study):
    source = 'source = "toy_data:load"'
    path = write_study((source, f"{source}\ncorrelation = [0.5, -0.5]"))
    runs = load_study(path).runs("toy", [0], fit={})
    assert len({settings.folder_name for settings in runs}) == 2


def test_words_of_any_length_and_alphabet_name_folders_of_their_own():
    words = ["x" * 400 + "a", "x" * 400 + "b", "模型 seed 0", "數據 seed 0"]
    names = {folder_of(each) for each in words}
    assert len(names) == 4
    assert all(name.isascii() and len(name) < 240 and "/" not in name for name in names)
