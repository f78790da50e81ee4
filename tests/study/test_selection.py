import pytest

from keras_mtl.study.selection import BestEpoch, MeanMetric
from keras_mtl.task import Task


class Weights:
    """The two methods of a model that choosing an epoch needs."""

    def __init__(self):
        self.value, self.stop_training = 0, False

    def get_weights(self):
        return self.value

    def set_weights(self, value):
        self.value = value


def trained(best, figures, name="val_loss"):
    model = Weights()
    best.set_model(model)
    best.on_train_begin()
    for epoch, figure in enumerate(figures):
        model.value = epoch
        best.on_epoch_end(epoch, {name: figure})
        if model.stop_training:
            break
    best.on_train_end()
    return model


def test_training_ends_with_the_weights_of_the_best_epoch():
    best = BestEpoch("val_loss")
    model = trained(best, [3.0, 1.0, 2.0, 2.5])
    assert (model.value, best.best_epoch, best.best) == (1, 1, 1.0)


def test_patience_stops_early():
    best = BestEpoch("val_mean", patience=2)
    model = trained(best, [0.5, 0.9, 0.8, 0.7, 1.0], "val_mean")
    assert model.value == 1


@pytest.mark.parametrize(
    ("monitor", "kept"),
    [("val_loss", 0), ("val_lossy_auc", 2), ("val_a_mse", 0), ("val_a_mean_absolute_error", 0)],
)
def test_which_way_is_up_follows_the_figure(monitor, kept):
    assert trained(BestEpoch(monitor), [1.0, 2.0, 3.0], monitor).value == kept


def test_the_file_may_say_which_way_is_up():
    assert trained(BestEpoch("val_loss", "max"), [1.0, 2.0]).value == 1
    with pytest.raises(ValueError, match="`mode` must be one of"):
        BestEpoch("val_loss", "mix")


def test_the_mean_of_the_main_metrics_negates_errors():
    logs = {"val_a_auc": 0.8, "val_a_loss": 5.0, "val_b_mse": 0.2, "val_b_loss": 9.0, "a_auc": 0}
    MeanMetric([Task("a"), Task("b", "regression")]).on_epoch_end(0, logs)
    assert logs["val_mean"] == pytest.approx((0.8 - 0.2) / 2)


def test_only_validation_figures_choose():
    with pytest.raises(ValueError, match="must be a figure of the validation data"):
        BestEpoch("loss")


def test_an_unknown_figure_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'val_income_auc'"):
        BestEpoch("val_incom_auc").on_epoch_end(0, {"val_income_auc": 1.0, "loss": 2.0})
