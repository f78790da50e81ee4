"""Files of Census-Income's form, whose cells tell their row and column."""

import bz2
import gzip

from keras_mtl.datasets.census_income.schema import COLUMNS, NUMERIC

OPENERS = {"": open, ".gz": gzip.open, ".bz2": bz2.open}


def make_line(index):
    """A row in which every cell tells its row and column, except for labels and numbers."""
    cells = {name: f"{name} {index % 7}" for name in COLUMNS}
    cells.update({name: str(index + place) for place, name in enumerate(NUMERIC)})
    cells["race"] = "?" if index % 2 else "White"
    cells["year"] = str(94 + index % 2)
    cells["instance_weight"] = "1700.09"
    cells["education"] = ["10th grade", "Doctorate degree(PhD EdD)"][index % 5 == 0]
    cells["marital_stat"] = ["Widowed", "Never married"][index % 3 == 0]
    cells["income_50k"] = ["- 50000.", "50000+."][index % 4 == 0]
    return ", ".join(cells[name] for name in COLUMNS)


def write_files(folder, suffix="", train=30, test=20):
    folder.mkdir(parents=True, exist_ok=True)
    for name, start, rows in (("data", 0, train), ("test", 1000, test)):
        text = "".join(make_line(start + i) + "\n" for i in range(rows))
        with OPENERS[suffix](folder / f"census-income.{name}{suffix}", "wb") as file:
            file.write(text.encode())
    return folder
