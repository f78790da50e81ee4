"""Names of figures in logs: each says whose it is, and no other figure has it."""

from collections.abc import Sequence

from keras_mtl.training.figures import owner_of

# What Keras' callbacks write into the logs.
_OF_KERAS = ("learning_rate",)


def check_figure_names(metrics: Sequence[tuple[str, str]], tasks: Sequence[str]) -> None:
    """Raises `ValueError` for a metric that would be logged as another figure.

    Args:
        metrics: Pairs of a task's name and its metric's.
        tasks: Names of all tasks.
    """
    longest_first = sorted(tasks, key=len, reverse=True)
    of_validation = {f"val_{task}_{metric}" for task, metric in [*metrics, *_losses(tasks)]}
    for task, metric in metrics:
        figure = f"{task}_{metric}"
        # A longer name that begins the figure's ends within the metric's, at an underscore.
        owner = owner_of(figure, longest_first) if "_" in metric else task
        if owner != task:
            _refuse(task, metric, f"a figure of task {owner!r}")
        if figure in of_validation:
            _refuse(task, metric, "a figure of validation")
        if figure in _OF_KERAS:
            _refuse(task, metric, "a figure of Keras' callbacks")


def _losses(tasks: Sequence[str]) -> list[tuple[str, str]]:
    return [(task, "loss") for task in tasks]


def _refuse(task: str, metric: str, other: str) -> None:
    raise ValueError(
        f"Metric {metric!r} of task {task!r} must not be named so that it is logged as {other}; "
        f"give it another name. Received: name={metric!r}, logged as {task}_{metric}"
    )
