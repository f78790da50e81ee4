"""LabelCheck: labels that no array check has seen are checked while training runs."""

from typing import Any

import keras


class LabelCheck(keras.callbacks.Callback):
    """Raises after the first batch, or at the latest the epoch, if a task forbids its labels.

    The step itself leaves such labels out, compiled by XLA or not; here the user is told. At an
    epoch's and an evaluation's end it warns, once, of tasks without labels and of doubtful ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: set[tuple[str, str]] = set()
        self._in_epoch = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """The next batch is a first one."""
        self._checked = False
        self._in_epoch = True

    def on_test_begin(self, logs: Any = None) -> None:
        """Checks the training epoch before its sums are reset; the next batch is a first one."""
        self.model.check_labels()
        self._end_epoch()
        self._checked = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Checks a first batch."""
        self._check_first()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Checks a first batch."""
        self._check_first()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Checks the epoch."""
        self.model.check_labels()
        self._end_epoch()

    def on_test_end(self, logs: Any = None) -> None:
        """Checks the whole evaluation."""
        self.model.check_labels()
        self.model._loss_tracker.warn_of_labels(self._told)

    def _check_first(self) -> None:
        if not self._checked:
            self._checked = True
            self.model.check_labels()

    def _end_epoch(self) -> None:
        """Warns of the epoch's labels; after a validation the sums are those of its own."""
        if self._in_epoch:
            self._in_epoch = False
            self.model._loss_tracker.warn_of_labels(self._told)
