"""LabelCheck: labels that no array check has seen are checked while training runs."""

from typing import Any

import keras


class LabelCheck(keras.callbacks.Callback):
    """Raises after the first batch, or at the latest the epoch, if a task forbids its labels.

    The step itself leaves such labels out, compiled by XLA or not; here the user is told.
    """

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """The next batch is a first one."""
        self._checked = False

    def on_test_begin(self, logs: Any = None) -> None:
        """Checks the training epoch before its sums are reset; the next batch is a first one."""
        self.model.check_labels()
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

    def on_test_end(self, logs: Any = None) -> None:
        """Checks the whole evaluation."""
        self.model.check_labels()

    def _check_first(self) -> None:
        if not self._checked:
            self._checked = True
            self.model.check_labels()
