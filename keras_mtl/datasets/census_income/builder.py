"""Census-Income (KDD) as a tensorflow-datasets builder, with the publisher's download."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_mtl.datasets import census_income
from keras_mtl.datasets.census_income.files import PUBLISHER
from keras_mtl.datasets.census_income.schema import CATEGORICAL, LABEL_COLUMNS, NUMERIC
from keras_mtl.datasets.dataset import Split
from keras_mtl.datasets.locating import DATA_VARIABLE

# The archive holds census.tar.gz, which holds the two files. No checksum is kept here:
# tensorflow-datasets records that of the first download.
DOWNLOAD = "https://archive.ics.uci.edu/static/public/117/census+income+kdd.zip"


class CensusIncome(tfds.core.GeneratorBasedBuilder):
    """Census-Income (KDD) as records, for pipelines of `tf.data`.

    The same rows, names and splits as `keras_mtl.datasets.census_income.load`, which reads the
    publisher's files in seconds where this builder takes minutes; once prepared, the records
    stream. An example is `{"columns": {name: value}, "labels": {task: 0 or 1}}`, and with
    `as_supervised=True` the pair of the two, as `Model.fit` takes it. The splits are `train`,
    `validation` and `test`.

    Files at hand are read in place of a download: from the `manual_dir` of a
    `tfds.download.DownloadConfig`, or else from the folder that the environment variable
    `KERAS_MTL_DATA` names. Its own `data_dir` is where the records are written, as in every
    builder.

    Raises:
        FileNotFoundError: If the named folder does not hold the files.
        ValueError: If a row of the files cannot be read.

    Example:

    >>> from keras_mtl.datasets.census_income import CensusIncome
    >>> CensusIncome.name
    'census_income'

    Reference:
        Lane and Kohavi, "Census-Income (KDD)", UCI Machine Learning Repository 2000, id 117.
        Splits as in Ma et al., "Modeling Task Relationships in Multi-task Learning with
        Multi-gate Mixture-of-Experts", KDD 2018, section 5.
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Optional: census-income.data and census-income.test, plain, .gz or .bz2, of {PUBLISHER}."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        columns: dict[str, Any] = dict.fromkeys(CATEGORICAL, tfds.features.Text())
        columns.update(dict.fromkeys(NUMERIC, np.float32))
        return tfds.core.DatasetInfo(
            builder=self,
            description="Census-Income (KDD): income, marital status and education of persons.",
            features=tfds.features.FeaturesDict(
                {"columns": columns, "labels": dict.fromkeys(LABEL_COLUMNS, np.int32)}
            ),
            supervised_keys=("columns", "labels"),
            homepage=PUBLISHER,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        data = census_income.load(self._folder(dl_manager))
        return {
            "train": self._generate_examples(data.train),
            "validation": self._generate_examples(data.valid),
            "test": self._generate_examples(data.test),
        }

    def _folder(self, dl_manager: tfds.download.DownloadManager) -> Path:
        """Where the publisher's files are."""
        try:
            return Path(dl_manager.manual_dir)
        except AssertionError:  # how tensorflow-datasets says that there is no such folder
            pass
        if DATA_VARIABLE in os.environ:
            return Path(os.environ[DATA_VARIABLE])
        archive = dl_manager.download_and_extract(DOWNLOAD)
        return Path(dl_manager.extract(archive / "census.tar.gz"))

    def _generate_examples(self, split: Split) -> Iterator[tuple[int, dict[str, Any]]]:
        for row in range(len(split)):
            yield (
                row,
                {
                    "columns": {name: values[row] for name, values in split.columns.items()},
                    "labels": {name: values[row] for name, values in split.labels.items()},
                },
            )
