import os
import subprocess
import sys

import numpy as np
import pytest

from keras_mtl.datasets import census_income
from keras_mtl.datasets.census_income.schema import CATEGORICAL, NUMERIC
from keras_mtl.datasets.locating import DATA_VARIABLE
from tests.datasets.census_files import make_line, write_files


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2"])
@pytest.mark.parametrize("inner", ["", "census_income"])
def test_rows_become_columns_and_labels(tmp_path, suffix, inner):
    write_files(tmp_path / inner, suffix)
    data = census_income.load(tmp_path)
    assert (len(data.categorical), len(data.numeric)) == (31, 7)
    assert [len(split) for split in (data.train, data.valid, data.test)] == [30, 10, 10]
    columns, labels = data.train.columns, data.train.labels
    assert list(columns) == [*data.categorical, *data.numeric]
    assert not {"education", "marital_stat", "instance_weight", "income_50k"} & set(columns)
    index = np.arange(30)
    np.testing.assert_array_equal(columns["age"], index)
    np.testing.assert_array_equal(columns["weeks_worked"], index + 6)
    assert columns["age"].dtype == np.float32
    assert columns["race"].tolist() == ["White", "?"] * 15
    assert columns["year"].tolist() == ["94", "95"] * 15
    assert columns["citizenship"].tolist() == [f"citizenship {i % 7}" for i in index]
    np.testing.assert_array_equal(labels["income"], index % 4 == 0)
    np.testing.assert_array_equal(labels["marital"], index % 3 == 0)
    np.testing.assert_array_equal(labels["education"], index % 5 == 0)


def test_halves_of_the_test_file_are_the_protocols_and_share_no_row(tmp_path):
    data = census_income.load(write_files(tmp_path, test=21))
    order = np.random.default_rng(0).permutation(21)
    np.testing.assert_array_equal(data.valid.columns["age"], 1000 + order[:10])
    np.testing.assert_array_equal(data.test.columns["age"], 1000 + order[10:])
    np.testing.assert_array_equal(data.valid.labels["income"], order[:10] % 4 == 0)


def test_folder_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(write_files(tmp_path / "census_income").parent))
    assert len(census_income.load().train) == 30
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        census_income.load(tmp_path / "elsewhere")


def test_missing_files_say_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(FileNotFoundError, match=r"KERAS_MTL_DATA.*archive\.ics\.uci\.edu") as error:
        census_income.load()
    (tmp_path / "census-income.data").write_text("")
    with pytest.raises(FileNotFoundError, match=r"census-income\.test \(plain, \.gz or \.bz2\)"):
        census_income.load(tmp_path)
    assert "data_dir=None" in str(error.value)


def replace_line(path, line, text):
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line: line[:300], r"42 values in every row\. Received: \d+ values in line 12"),
        (lambda line: line + ", 1", r"Received: 43 values in line 12"),
        (lambda line: "old" + line[2:], r"a valid `age` in every row\. Received: 'old' in line 12"),
        (lambda line: line[:-3], r"a valid `income_50k` .*'[-0-9 ]+' in line 12"),
    ],
)
def test_a_broken_row_is_named_by_its_line(tmp_path, change, message):
    path = write_files(tmp_path) / "census-income.data"
    replace_line(path, 12, change(make_line(11)))
    with pytest.raises(ValueError, match=message):
        census_income.load(tmp_path)


@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
def test_a_file_cut_short_is_refused(tmp_path, suffix):
    path = write_files(tmp_path, suffix) / f"census-income.data{suffix}"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="must be the publisher's text, whole"):
        census_income.load(tmp_path)


def test_an_empty_file_is_refused(tmp_path):
    (write_files(tmp_path) / "census-income.test").write_text("")
    with pytest.raises(ValueError, match=r"census-income\.test.* whole"):
        census_income.load(tmp_path)


def test_package_does_not_import_tensorflow_datasets():
    program = (
        "import sys, keras_mtl; from keras_mtl.datasets.census_income import load;"
        "sys.exit('tensorflow_datasets' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_builder_gives_the_rows_of_load(tmp_path):
    import tensorflow_datasets as tfds

    source = write_files(tmp_path / "source", ".gz")
    builder = census_income.CensusIncome(data_dir=tmp_path / "records")
    config = tfds.download.DownloadConfig(manual_dir=str(source))
    builder.download_and_prepare(download_config=config)
    data = census_income.load(source)
    for name, split in {"train": data.train, "validation": data.valid, "test": data.test}.items():
        rows = list(tfds.as_numpy(builder.as_dataset(split=name, as_supervised=True)))
        rows.sort(key=lambda row: row[0]["age"])
        order = np.argsort(split.columns["age"])
        assert [row[0]["age"] for row in rows] == split.columns["age"][order].tolist()
        assert set(rows[0][0]) == {*CATEGORICAL, *NUMERIC}
        races = [row[0]["race"].decode() for row in rows]
        assert races == split.columns["race"][order].tolist()
        for task, labels in split.labels.items():
            assert [row[1][task] for row in rows] == labels[order].tolist()


def test_builder_unpacks_the_publishers_archive(tmp_path, monkeypatch):
    class Downloads:
        @property
        def manual_dir(self):
            raise AssertionError("no such folder")

        def download_and_extract(self, url):
            assert url == "https://archive.ics.uci.edu/static/public/117/census+income+kdd.zip"
            return tmp_path / "archive"

        def extract(self, path):
            assert path == tmp_path / "archive" / "census.tar.gz"
            return write_files(tmp_path / "files")

    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    builder = census_income.CensusIncome(data_dir=tmp_path / "records")
    splits = builder._split_generators(Downloads())
    assert {name: len(list(rows)) for name, rows in splits.items()} == {
        "train": 30,
        "validation": 10,
        "test": 10,
    }


def test_published_files_have_the_papers_sizes_and_correlations():
    if DATA_VARIABLE not in os.environ:
        pytest.skip(f"set {DATA_VARIABLE} to the folder that holds census_income")
    whole = census_income.load()
    assert [len(s) for s in (whole.train, whole.valid, whole.test)] == [199_523, 49_881, 49_881]
    labels = {
        task: np.concatenate([s.labels[task] for s in (whole.train, whole.valid, whole.test)])
        for task in whole.train.labels
    }
    correlation = np.corrcoef(list(labels.values()))
    assert list(labels) == ["income", "marital", "education"]
    assert abs(correlation[0, 1]) == pytest.approx(0.1768, abs=0.002)
    assert abs(correlation[2, 1]) == pytest.approx(0.2373, abs=0.003)
    assert len(set(whole.train.columns["country_self"])) == 43
    assert len(set(whole.train.columns["det_ind_code"])) == 52
    assert "?" in set(whole.train.columns["mig_chg_msa"])
