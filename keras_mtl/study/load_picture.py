"""The load of sparse experts as a picture: a panel a layer, a bar an expert."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_mtl.study.cells import plot_text
from keras_mtl.study.expert_load import LayerLoad, loads_of
from keras_mtl.study.picture import BLUE, GREY, panels_of, plain, save
from keras_mtl.study.results import Row

LOAD = "load.png"
_MOST_COLUMNS = 3


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draws the share of the choices that fell on each expert; nothing where none is told.

    A bar is the mean over seeds, its dots the single seeds; the dotted line is an even load.
    """
    loads = loads_of(rows)
    if not loads:
        return
    of_model = [(load.data, load.model) for load in loads]
    layers = max(map(of_model.count, of_model))
    columns = min(_MOST_COLUMNS, layers if layers > 1 else len(loads))
    lines = -(-len(loads) // columns)
    figure, axes = panels_of(lines, columns, (0.6 + 4.0 * columns, 2.7 * lines))
    for axis in axes.flat[len(loads) :]:
        axis.set_axis_off()
    for load, axis in zip(loads, axes.flat, strict=False):
        _panel(axis, load)
    save(figure, path)


def _panel(axis: Any, load: LayerLoad) -> None:
    places = np.arange(len(load.shares))
    seeds = np.array([*load.shares.values()])  # (E, seeds)
    axis.bar(places, seeds.mean(axis=1), width=0.7, color=BLUE, alpha=0.45)
    axis.plot(places, seeds, "o", color=BLUE, markersize=3)
    if not math.isnan(load.even):
        axis.axhline(load.even, color=GREY, linestyle=":", linewidth=1.4)
    axis.set_xticks(places, [*load.shares])
    axis.set_ylim(bottom=0)
    axis.set_xlabel("expert", fontsize=9)
    axis.set_ylabel("share of choices", fontsize=9)
    lines = (f"{load.data}: {load.model}", load.title)
    axis.set_title("\n".join(map(plot_text, lines)), fontsize=10, loc="left")
    plain(axis, "y", bare=("top", "right"))
