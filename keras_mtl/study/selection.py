"""Which epoch is kept: the best by a figure of the validation data."""

from typing import Any

import keras

from keras_mtl.checks import check_choice, check_integer, did_you_mean
from keras_mtl.training.figures import lower_is_better
from keras_mtl.training.mean_metric import MeanMetric

__all__ = ["BestEpoch", "MeanMetric"]


class BestEpoch(keras.callbacks.EarlyStopping):
    """Ends training with the weights of the epoch that was best by a validation figure.

    Args:
        monitor: a logged figure that begins with `val_`; `val_mean` is the mean of the tasks'
            main metrics.
        mode: `"min"`, `"max"`, or `"auto"`: errors and losses are better low, all else high.
        patience: epochs without progress after which training stops; None never stops early.

    Raises:
        ValueError: if the figure is not one of the validation data.
    """

    def __init__(self, monitor: str, mode: str = "auto", patience: int | None = None) -> None:
        if not monitor.startswith("val_"):
            raise ValueError(
                "Key `monitor` in [selection] must be a figure of the validation data, `val_...`: "
                f"test and training figures choose nothing. Received: monitor={monitor!r}"
            )
        if patience is not None:
            check_integer("patience", patience, minimum=0)
        if check_choice("mode", mode, ("auto", "min", "max")) == "auto":
            mode = "min" if lower_is_better(monitor.rpartition("_")[2]) else "max"
        super().__init__(
            monitor=monitor,
            mode=mode,
            patience=10**9 if patience is None else patience,
            restore_best_weights=True,
        )

    def get_monitor_value(self, logs: dict[str, Any] | None) -> float:
        """The figure of this epoch; an unknown one is an error and not, as in Keras, a warning."""
        logs = logs or {}
        if self.monitor not in logs:
            known = sorted(key for key in logs if key.startswith("val_"))
            raise ValueError(
                f"Key `monitor` in [selection] must be one of {', '.join(known)}."
                f"{did_you_mean(self.monitor, known)} Received: monitor={self.monitor!r}"
            )
        return float(logs[self.monitor])
