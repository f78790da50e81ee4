"""Fixtures of the whole suite."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import pytest

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    # One machine as two devices. Refused once TensorFlow has started; `mirrored` then says so.
    with contextlib.suppress(RuntimeError):
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * 2,
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After tests of the wall, here or in worker processes, prints what it did not ask."""
    reports = (report for kind in terminalreporter.stats.values() for report in kind)
    if any("tests/conformance/" in getattr(report, "nodeid", "") for report in reports):
        from tests.conformance.exemptions import print_exemptions

        print_exemptions(terminalreporter)


@pytest.fixture(autouse=True)
def same_start() -> Iterator[None]:
    """Every test draws the same numbers, alone or not, and leaves no dtype policy behind."""
    policy = keras.config.dtype_policy()
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy(policy)


@pytest.fixture(scope="session")
def mirrored() -> Any:
    """Two replicas on two logical CPUs; one strategy for the session, since two would clash."""
    devices = tf.config.list_logical_devices("CPU")
    assert len(devices) > 1, "TensorFlow had started before tests/conftest.py was read"
    return tf.distribute.MirroredStrategy([device.name for device in devices[:2]])
