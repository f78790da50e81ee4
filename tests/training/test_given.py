import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from keras_mtl import Task
from tests.reference.losses import over_labelled, product_crossentropy, sigmoid, task_loss
from tests.training.free_logits import activation_layer, own_heads, stacked_heads

ROWS = 40
CLOSE = {"rel": 1e-5, "abs": 1e-7}
# Drawn labels do not know of each other.
pytestmark = pytest.mark.filterwarnings("ignore:Labels of task .* contradict:UserWarning")


def funnel(seed=0):
    """Labels of a chain of three with unknowns anywhere, and logits."""
    rng = np.random.default_rng(seed)
    y = {name: rng.choice([-1, 0, 1, 1], (ROWS, 1)) for name in ("click", "cart", "buy")}
    return y, {name: rng.permutation(np.linspace(-4, 4, ROWS))[:, None] for name in y}


@pytest.mark.parametrize("heads", [own_heads, stacked_heads])
def test_a_chain_of_three_sees_the_rows_where_every_parent_is_one(heads):
    y, logits = funnel()
    tasks = [Task("buy", given="cart"), Task("click"), Task("cart", given="click")]
    logs, gradients = heads(tasks, logits).step(y, metrics=None)
    exists = {"click": True, "cart": y["click"] == 1}
    exists["buy"] = exists["cart"] & (y["cart"] == 1)
    for name, rows in exists.items():
        known = rows & (y[name] >= 0)
        loss, gradient = task_loss("binary", y[name], logits[name], known)
        assert logs[f"{name}_loss"] == pytest.approx(loss, **CLOSE)
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-4, atol=1e-7)
        auc = roc_auc_score(y[name][known], logits[name][known])
        assert logs[f"{name}_auc"] == pytest.approx(auc, abs=1e-5)


@pytest.mark.parametrize("kind", ["regression", "multiclass", "multilabel"])
def test_any_kind_may_depend_on_a_binary_task(kind):
    rng = np.random.default_rng(1)
    units = {"regression": 1, "multiclass": 3, "multilabel": 2}[kind]
    logits = {"click": rng.normal(size=(8, 1)), "next": rng.normal(size=(8, units))}
    click = np.array([[1], [0], [-1], [1], [1], [0], [1], [-1]])
    labels = rng.integers(0, 2, (8, 1 if kind == "multiclass" else units))
    tasks = [Task("click"), Task("next", kind, units, given="click")]
    logs, gradients = own_heads(tasks, logits).step({"click": click, "next": labels})
    known = np.broadcast_to(click == 1, labels.shape)
    loss, gradient = task_loss(kind, labels, logits["next"], known)
    assert logs["next_loss"] == pytest.approx(loss, **CLOSE)
    np.testing.assert_allclose(gradients["next"], gradient, rtol=1e-4, atol=1e-7)


def test_only_a_label_of_exactly_one_opens_the_next_task():
    logits = {"click": np.zeros((3, 1)), "buy": np.ones((3, 1))}
    y = {"click": np.array([0, np.nan, 0.5]), "buy": np.array([1, 1, 1])}
    tasks = [Task("click"), Task("buy", given="click")]
    with pytest.warns(UserWarning, match=r"No labels of task 'buy'.*buy 0, click 2"):
        logs, gradients = own_heads(tasks, logits).step(y)
    assert np.isnan(logs["buy_loss"])
    assert not gradients["buy"].any()


def product_labels(chain):
    """Label and mask of "all are 1": a known 0 decides it, whatever comes after."""
    label, known, alive = np.ones(chain[0].shape), np.zeros(chain[0].shape, bool), True
    for column in chain:
        known |= alive & (column == 0)
        alive = alive & (column == 1)
    return label * alive, known | alive


@pytest.mark.parametrize("length", [2, 3])
@pytest.mark.parametrize("heads", [own_heads, stacked_heads])
def test_the_product_over_all_rows(length, heads):
    y, logits = funnel(seed=2)
    names = ["click", "cart", "buy"][:length]
    y = {name: y[name] for name in names}
    logits = {name: logits[name] for name in names}
    tasks = [Task("click"), Task("cart", given="click"), Task("buy", given="cart")][:length]
    tasks[-1] = Task(names[-1], given=names[-2], trained_on="all", class_weight={1: 2.0})
    weights = np.random.default_rng(3).random((ROWS, 1))
    logs, gradients = heads(tasks, logits).step(y, {"sample_weight": {names[-1]: weights[:, 0]}})
    label, known = product_labels([y[name] for name in names])
    factors = weights * (1 + label)
    losses, slopes = product_crossentropy(label, *logits.values())
    assert logs[f"{names[-1]}_loss"] == pytest.approx(
        over_labelled(losses, known, factors), **CLOSE
    )
    own = {name: 0.0 for name in names}
    parent_known = y["click"] >= 0
    own["click"] = task_loss("binary", y["click"], logits["click"], parent_known)[1]
    if length == 3:
        known_cart = (y["click"] == 1) & (y["cart"] >= 0)
        own["cart"] = task_loss("binary", y["cart"], logits["cart"], known_cart)[1]
    for name, slope in zip(names, slopes, strict=True):
        through_product = np.where(known, slope * factors, 0) / known.sum()
        expected = own[name] + through_product
        np.testing.assert_allclose(gradients[name], expected, rtol=1e-4, atol=1e-7)


def test_metrics_of_a_product_see_the_rows_where_the_task_exists():
    y, logits = funnel(seed=4)
    tasks = [Task("click"), Task("cart", given="click", trained_on="all")]
    logs, _ = own_heads(tasks, {name: logits[name] for name in ("click", "cart")}).step(
        y, metrics=None
    )
    known = (y["click"] == 1) & (y["cart"] >= 0)
    auc = roc_auc_score(y["cart"][known], logits["cart"][known])
    assert logs["cart_auc"] == pytest.approx(auc, abs=1e-5)


@pytest.mark.parametrize("size", [20.0, 40.0])
def test_a_product_of_extreme_logits(size):
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]] * 2) * size
    logits = {"click": signs[:, :1], "buy": signs[:, 1:]}
    label = np.array([[1], [1], [1], [1], [0], [0], [0], [0]])
    y = {"click": np.ones((8, 1), int), "buy": label}
    tasks = [Task("click", weight=0.0), Task("buy", given="click", trained_on="all")]
    logs, gradients = own_heads(tasks, logits).step(y)
    losses, slopes = product_crossentropy(label, logits["click"], logits["buy"])
    assert logs["buy_loss"] == pytest.approx(losses.mean(), rel=1e-5)
    for name, slope in zip(("click", "buy"), slopes, strict=True):
        np.testing.assert_allclose(gradients[name], slope / 8, rtol=1e-3, atol=1e-9)


def test_a_product_of_probabilities_without_logits():
    """A head whose logits cannot be found still gets the right loss."""

    def averaged(task, x, size, shape):
        return activation_layer(task, x, size, shape) / 1.0

    y, logits = funnel(seed=5)
    tasks = [Task("click"), Task("cart", given="click", trained_on="all")]
    logits = {name: logits[name] for name in ("click", "cart")}
    logs, gradients = own_heads(tasks, logits, averaged).step(y)
    label, known = product_labels([y["click"], y["cart"]])
    losses, slopes = product_crossentropy(label, *logits.values())
    assert logs["cart_loss"] == pytest.approx(over_labelled(losses, known), rel=1e-4)
    assert logs["click_loss"] == pytest.approx(
        task_loss("binary", y["click"], logits["click"], y["click"] >= 0)[0], rel=1e-4
    )
    expected = np.where(known, slopes[1], 0) / known.sum()
    np.testing.assert_allclose(gradients["cart"], expected, rtol=1e-3, atol=1e-6)
    assert (sigmoid(logits["cart"]) < 1).all()
