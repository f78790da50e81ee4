"""A comparison as a picture: each task's mean and 95 % interval, a model a line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_mtl.study.cells import plot_text
from keras_mtl.study.comparison import BASELINE, Line, compared, pairs
from keras_mtl.study.folders import file_aside
from keras_mtl.study.measures import lower_is_better
from keras_mtl.study.results import Row, distinct

COMPARISON = "comparison.png"
BLUE, GREY = "#1f5fa8", "#8a8a8a"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draws one row of panels for each data set, a panel a task, and saves them as PNG.

    A dot is the mean over seeds, its bar the 95 % t-interval of that mean; dotted lines are the
    baseline and others that a study is compared with.
    """
    references = {BASELINE, *(other for _, other in pairs(rows))}
    panels = [compared(rows, data) for data in distinct(rows, "data")]
    tasks = [list(dict.fromkeys(line.task for line in lines)) for lines in panels]
    models = len(distinct(rows, "model"))
    size = 1.2 + 3.6 * max(map(len, tasks)), len(panels) * (1.3 + 0.32 * models)
    figure, axes = panels_of(len(panels), max(map(len, tasks)), size)
    for row, (data, lines) in enumerate(zip(distinct(rows, "data"), panels, strict=True)):
        for column, axis in enumerate(axes[row]):
            if column >= len(tasks[row]):
                axis.set_axis_off()
                continue
            of_task = [line for line in lines if line.task == tasks[row][column]]
            _panel(axis, of_task, references, named=column == 0)
            title = plot_text(f"{data}: {tasks[row][column]}")
            axis.set_title(title, fontsize=10, loc="left")
    save(figure, path)


def panels_of(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """A figure that needs no screen, and its panels (rows, columns)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")


def save(figure: Any, path: Path) -> None:
    """Writes a figure as PNG, aside and renamed into place, and forgets it."""
    from matplotlib import pyplot

    with file_aside(path) as aside:
        figure.savefig(aside, dpi=150, format="png")
    pyplot.close(figure)


def plain(axis: Any, along: str, bare: Sequence[str]) -> None:
    """The look of every panel: a light grid `along` one axis, no frame on the `bare` sides."""
    axis.tick_params(labelsize=9)
    axis.grid(axis=along, color="#e4e4e4", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in bare:
        axis.spines[side].set_visible(False)


def _panel(axis: Any, lines: Sequence[Line], references: set[str], named: bool) -> None:
    for place, line in enumerate(lines):
        error = line.figures.half_width if line.figures.count > 1 else 0.0
        axis.errorbar(
            line.figures.mean,
            place,
            xerr=error,
            fmt="o",
            color=GREY if line.model in references else BLUE,
            markersize=5,
            capsize=3,
            linewidth=1.4,
        )
        if line.model in references:
            axis.axvline(line.figures.mean, color=GREY, linestyle=":", linewidth=1, zorder=0)
    axis.set_yticks(range(len(lines)), [plot_text(line.model) for line in lines] if named else [])
    axis.set_ylim(len(lines) - 0.5, -0.5)
    metric = lines[0].metric
    direction = "lower" if lower_is_better(metric) else "higher"
    axis.set_xlabel(plot_text(f"{metric} ({direction} is better)"), fontsize=9)
    axis.locator_params(axis="x", nbins=4)
    axis.ticklabel_format(axis="x", useOffset=False)
    plain(axis, "x", bare=("top", "right", "left"))
    axis.tick_params(axis="y", length=0)
