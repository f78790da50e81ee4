"""Rows of the comparison of encodings: Census-Income, and Parkinson's disease in two splits."""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_mtl import Task
from keras_mtl.datasets import census_income
from keras_mtl.datasets.dataset import Split
from keras_mtl.datasets.locating import DATA_VARIABLE

CENSUS, RECORDINGS, PATIENTS = "census_income", "parkinsons_recordings", "parkinsons_patients"
NAMES = (CENSUS, RECORDINGS, PATIENTS)
FOLDER, FILE = "parkinsons", "parkinsons_updrs.data"
PUBLISHER = "https://archive.ics.uci.edu/dataset/189/parkinsons+telemonitoring"
PATIENT, SEX, SCORES = "subject#", "sex", ("motor_UPDRS", "total_UPDRS")
TRAIN_SHARE, VALID_SHARE = 0.6, 0.2


@dataclass(frozen=True)
class Problem:
    """What is to be predicted, and how the model is trained; it has no test rows.

    Attributes:
        train: rows to train on.
        valid: rows to compare by.
        tasks: of one kind.
        metric: by which they are judged.
        categorical: names of the columns of categories.
        numeric: names of the columns of numbers.
        budget: most parameters above the embeddings of categories.
        dropout: of experts and towers.
        epochs: over which the learning rate falls.
        batch_size: rows in a step.
    """

    train: Split
    valid: Split
    tasks: Sequence[Task]
    metric: str
    categorical: Sequence[str]
    numeric: Sequence[str]
    budget: int
    dropout: float
    epochs: int
    batch_size: int


def load(name: str, data_dir: str | os.PathLike[str] | None, seed: int) -> Problem:
    """A problem by its name; `seed` divides recordings or patients, Census-Income is divided.

    Raises:
        FileNotFoundError: If the files are not there.
        ValueError: If a file cannot be read.
    """
    if name == CENSUS:
        return _census(None if data_dir is None else os.fspath(data_dir))
    return parkinsons(read_parkinsons(data_dir), name == PATIENTS, seed)


@functools.cache
def _census(data_dir: str | None) -> Problem:
    data = census_income.load(data_dir)
    return Problem(
        data.train,
        data.valid,
        [Task(name) for name in ("income", "marital", "education")],
        "auc",
        data.categorical,
        data.numeric,
        budget=152_546,
        dropout=0.3,
        epochs=9,
        batch_size=1024,
    )


def read_parkinsons(data_dir: str | os.PathLike[str] | None) -> dict[str, np.ndarray]:
    """The publisher's columns by name, float64 (N,).

    Raises:
        FileNotFoundError: If the file is not there.
        ValueError: If it holds other columns, or what is no number.
    """
    path = _find(data_dir)
    with path.open() as lines:
        names = next(lines, "").strip().split(",")
    lacking = [name for name in (PATIENT, SEX, *SCORES) if name not in names]
    if lacking:
        raise ValueError(
            f"The first line of file `{path}` must name the columns {PATIENT}, {SEX}, "
            f"{', '.join(SCORES)}. Received: {', '.join(names)}"
        )
    try:
        rows = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    except ValueError as error:
        raise ValueError(
            f"File `{path}` must hold {len(names)} numbers a line below its names. "
            f"Received: {error}"
        ) from error
    return dict(zip(names, rows.T, strict=True))


def _find(data_dir: str | os.PathLike[str] | None) -> Path:
    given = os.environ.get(DATA_VARIABLE) if data_dir is None else data_dir
    path = Path(given or "", FOLDER, FILE)
    if given is None or not path.is_file():
        raise FileNotFoundError(
            f"Argument `--data-dir`, or else the environment variable {DATA_VARIABLE}, must name a "
            f"folder that holds {FOLDER}/{FILE}. The publisher offers it at {PUBLISHER}. "
            f"Received: data_dir={data_dir!r}, {DATA_VARIABLE}={os.environ.get(DATA_VARIABLE)!r}"
        )
    return path


def parkinsons(columns: dict[str, np.ndarray], by_patient: bool, seed: int) -> Problem:
    """Both scores of a recording, with 60 % of recordings, or of patients, to train on.

    By recordings, a patient's own stand on both sides: who the patient is says much. By patients,
    those to compare by are new.
    """
    rows = len(columns[PATIENT])
    groups = columns[PATIENT] if by_patient else np.arange(rows)
    in_train, in_valid = divide(groups, seed)
    names = [name for name in columns if name not in (PATIENT, SEX, *SCORES)]
    values = {name: columns[name].astype("float32") for name in names}
    values[SEX] = columns[SEX].astype("int64")
    scores = {name: standardize(columns[name], in_train) for name in SCORES}
    everything = Split(values, scores)
    return Problem(
        everything.take(in_train),
        everything.take(in_valid),
        [Task(name, "regression") for name in SCORES],
        "mse",
        [SEX],
        names,
        budget=20_000,
        dropout=0.1,
        # by patients, what is learned later is about the patients in the train rows alone
        epochs=8 if by_patient else 60,
        batch_size=64,
    )


def divide(groups: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to compare by; a group's rows stay together."""
    distinct, group = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(distinct))
    place = order[group] / len(distinct)  # in [0, 1), one for each row
    in_valid = (place >= TRAIN_SHARE) & (place < TRAIN_SHARE + VALID_SHARE)
    return np.flatnonzero(place < TRAIN_SHARE), np.flatnonzero(in_valid)


def standardize(values: np.ndarray, in_train: np.ndarray) -> np.ndarray:
    """Values with mean 0 and deviation 1 over the rows to train on, float32 (N,)."""
    own = values[in_train]
    return ((values - own.mean()) / own.std()).astype("float32")
