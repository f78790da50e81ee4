"""The rows of the study beside this file: made-up visits to a shop.

For rows of your own, return them from `read_rows`, and name their columns in `load`. The study file
calls `load` with the keys of its data section. (If `load` took a `seed`, every seed of the study
would have rows of its own.)
"""

import numpy as np

from keras_mtl.datasets import Dataset, Split


def load(rows: int = 12_000) -> Dataset:
    """Eight tenths of the rows to train on, one to choose the best epoch by, one to report on."""
    everything = Split(*read_rows(rows))
    order = np.random.default_rng(0).permutation(len(everything))
    tenth = len(order) // 10
    test, valid, train = np.split(order, [tenth, 2 * tenth])
    return Dataset(
        train=everything.take(train),
        valid=everything.take(valid),
        test=everything.take(test),
        categorical=["city", "device"],
        numeric=["age", "earlier_visits"],
    )


def read_rows(rows: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Raw columns and labels, each an array of one value a row.

    Two data frames do as well:

        table = pandas.read_csv(Path(__file__).with_name("visits.csv"))
        return table[["city", "device", "age", "earlier_visits"]], table[["buy", "minutes"]]
    """
    rng = np.random.default_rng(1)
    city = rng.choice(["Lagos", "Lima", "Oslo", "Rome", "Seoul"], rows)
    device = rng.choice(["phone", "tablet", "computer"], rows, p=[0.6, 0.1, 0.3])
    age = rng.normal(42, 14, rows)
    earlier_visits = rng.poisson(3, rows).astype("float64")

    interest = 0.5 * (city == "Lima") + 0.4 * np.sin(age / 8) + 0.3 * np.sqrt(earlier_visits)
    interest = interest * np.where(device == "phone", 0.7, 1.1)
    buy = (interest + rng.normal(0, 0.4, rows) > 1.1).astype("int32")
    minutes = 3 * interest + rng.normal(0, 0.8, rows)

    age[rng.random(rows) < 0.05] = np.nan  # a missing value
    minutes[rng.random(rows) < 0.3] = np.nan  # a missing label: the row still trains `buy`
    columns = {"city": city, "device": device, "age": age, "earlier_visits": earlier_visits}
    return columns, {"buy": buy, "minutes": minutes}
