"""The rows that guarantees run over: a task without counted labels would be held to nothing."""

from functools import cache

import numpy as np
import pytest

from keras_mtl import Task
from keras_mtl.kinds import is_missing
from keras_mtl.task import given_chain
from tests.conformance.case import Arrays, Case
from tests.conformance.cases import CASES
from tests.conformance.records import ROWS

LABELLED = [case for case in CASES if case.model is not None and case.labels is not None]


BY_NAME = {case.name: case for case in LABELLED}


@cache
def tasks_of(case_name: str) -> list[Task]:
    return list(BY_NAME[case_name].model(0).tasks)


def counted(task: Task, tasks: list[Task], y: Arrays) -> list[np.ndarray]:
    """The labels of `task` that its loss and its metrics see, by column where it has several."""
    known = ~is_missing(task, y[task.name])
    for parent in given_chain(task, {other.name: other for other in tasks}):
        exists = (y[parent.name] == 1).reshape(-1, *[1] * (known.ndim - 1))
        known = known & exists
    columns = task.units if task.kind == "multilabel" else 1
    split = zip(y[task.name].reshape(-1, columns).T, known.reshape(-1, columns).T, strict=True)
    return [column[shown] for column, shown in split]


@pytest.mark.parametrize("case", LABELLED, ids=lambda case: case.name)
def test_every_task_has_counted_labels_of_two_classes(case: Case) -> None:
    tasks, y = tasks_of(case.name), case.labels(ROWS, 1)
    for task in tasks:
        for labels in counted(task, tasks, y):
            assert len(np.unique(labels)) > 1, task.name
            assert task.kind != "binary" or {*labels} == {0, 1}


@pytest.mark.parametrize("case", LABELLED, ids=lambda case: case.name)
def test_no_label_contradicts_what_its_task_is_given(case: Case) -> None:
    tasks, y = tasks_of(case.name), case.labels(ROWS, 1)
    for task in tasks:
        if task.kind == "binary":
            for parent in given_chain(task, {other.name: other for other in tasks}):
                assert not ((y[task.name] == 1) & (y[parent.name] == 0)).any()
