"""A task's own signature computes that task, not all of them."""

import keras
import numpy as np
import pytest

from keras_mtl import Task, features, zoo
from keras_mtl.serving.signatures import signature_functions

TASKS = ["a", "b", "c", "d"]


def operations(function, *kinds):
    return [op for op in function.graph.get_operations() if op.type in kinds]


def products(function) -> int:
    """Multiplications a row of all matrix products."""
    total = 0
    for op in operations(function, "MatMul", "BatchMatMulV2"):
        left, right = (tensor.shape.as_list() for tensor in op.inputs)
        *stack, depth, width = right
        assert left[-1] in (depth, None)
        kernels = left[-2] if None in stack else int(np.prod(stack))  # of a row: mixtures
        total += kernels * depth * width
    for op in operations(function, "Mul"):  # products of one unit are sums of these
        left, right = (tensor.shape.as_list() for tensor in op.inputs)
        total += int(np.prod(right)) if len(right) == 2 and left[1:] == right else 0
    return total


def mixing(experts: int, units: int) -> int:
    """Multiplications a row of one mixture."""
    return experts * units


@pytest.fixture(scope="module")
def table():
    columns = {"city": np.array(["Rome", "Oslo"]), "age": np.array([1.0, 2.0])}
    table = features.TabularFeatures(categorical=["city"], numeric=["age"], embedding_dim=3)
    return table.adapt(columns)


def signatures(constructor, inputs, **arguments):
    # A graph of its own for every case: functions only, nothing is written.
    return signature_functions(constructor(inputs, TASKS, **arguments))


def test_towers_of_other_tasks_that_stand_apart_are_left_out():
    towers = {"a": 3, "b": 4, "c": 5, "d": 6}
    found = signatures(zoo.shared_bottom, 5, bottom_units=8, tower_units=towers)
    for task, units in towers.items():
        assert products(found[task]) == 5 * 8 + 8 * units + units
        assert len(found[task].variables) == 6


def test_shared_bottom_computes_its_trunk_and_one_tower():
    found = signatures(zoo.shared_bottom, 5, bottom_units=8, tower_units=3)
    assert products(found["packed"]) == 5 * 8 + 4 * (8 * 3 + 3)
    for task in TASKS:
        assert products(found[task]) == 5 * 8 + 8 * 3 + 3


def test_single_task_computes_one_network(table):
    found = signatures(zoo.single_task, table, hidden_units=8, tower_units=3)
    width = 3 + 3 + 1  # of the city, of the bin of the age, and the age
    assert products(found["packed"]) == 4 * (width * 8 + 8 * 3 + 3)
    for task in TASKS:
        assert products(found[task]) == width * 8 + 8 * 3 + 3


def test_single_task_looks_up_one_set_of_embeddings(table):
    model = zoo.single_task(table, TASKS, hidden_units=8)
    paths = {variable.value.ref(): variable.path for variable in model.variables}
    found = signature_functions(model)
    for task in TASKS:
        read = [paths[variable.ref()] for variable in found[task].variables]
        embeddings = [path for path in read if path.startswith("embeddings")]
        assert [path.partition("/")[0] for path in embeddings] == [f"embeddings_{task}"]


def test_mmoe_computes_all_experts_one_gate_and_one_tower():
    found = signatures(zoo.mmoe, 5, num_experts=3, expert_units=8, tower_units=3)
    experts = 3 * 5 * 8
    assert products(found["packed"]) == experts + 4 * (5 * 3 + mixing(3, 8) + 8 * 3 + 3)
    for task in TASKS:
        assert products(found[task]) == experts + 5 * 3 + mixing(3, 8) + 8 * 3 + 3


SHARED, OWN = 2, {"a": 1, "b": 0, "c": 3, "d": 1}


def test_cgc_leaves_the_experts_of_other_tasks_out():
    arguments = {"shared_experts": SHARED, "task_experts": OWN, "expert_units": 8}
    found = signatures(zoo.cgc, 5, tower_units=3, **arguments)
    for task in TASKS:
        seen = SHARED + OWN[task]
        assert products(found[task]) == seen * 5 * 8 + 5 * seen + mixing(seen, 8) + 8 * 3 + 3


def test_ple_leaves_them_out_of_the_last_level_and_their_gates_out_of_all():
    arguments = {"shared_experts": SHARED, "task_experts": OWN, "expert_units": 8}
    found = signatures(zoo.ple, 5, levels=2, tower_units=3, **arguments)
    count = SHARED + sum(OWN.values())
    for task in TASKS:
        seen = SHARED + OWN[task]
        gates = 5 * seen + 5 * count  # the task's and the shared one
        first = count * 5 * 8 + gates + 2 * mixing(count, 8)
        last = seen * 8 * 8 + 8 * seen + mixing(seen, 8)
        assert products(found[task]) == first + last + 8 * 3 + 3


def test_a_reloaded_model_and_a_copy_leave_out_as_much(tmp_path):
    heads = {"b": keras.layers.Dense(1, "sigmoid", name="b")}
    towers = {"a": 3, "b": 3, "c": 4, "d": 3}
    model = zoo.cgc(5, TASKS, task_experts=OWN, tower_units=towers, heads=heads)
    model.save(tmp_path / "m.keras")
    found = [
        {task: products(function) for task, function in signature_functions(one).items()}
        for one in (
            model,
            keras.saving.load_model(tmp_path / "m.keras"),
            keras.models.clone_model(model),
        )
    ]
    assert found[0] == found[1] == found[2]
    assert found[0]["b"] == 2 * 5 * 64 + 5 * 2 + mixing(2, 64) + 64, "a head of one's own"


def test_a_task_given_another_computes_the_two():
    tasks = ["a", "b", Task("c", given="b", trained_on="all"), "d"]
    model = zoo.single_task(5, tasks, hidden_units=8, tower_units=3)
    found = signature_functions(model)
    assert products(found["c"]) == 2 * products(found["b"]) == 2 * (5 * 8 + 8 * 3 + 3)
