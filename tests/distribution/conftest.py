"""One machine as two devices, and one strategy for the session, since two would clash."""

import contextlib

import keras
import pytest

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
collect_ignore_glob = [] if ON_TENSORFLOW else ["test_*.py"]

if ON_TENSORFLOW:
    import tensorflow as tf

    # Refused once TensorFlow has started; the fixture then says so.
    with contextlib.suppress(RuntimeError):
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * 2,
        )


@pytest.fixture(scope="session")
def mirrored():
    """Two replicas on two logical CPUs."""
    devices = tf.config.list_logical_devices("CPU")
    assert len(devices) > 1, "TensorFlow had started before tests/distribution/conftest.py was read"
    return tf.distribute.MirroredStrategy([device.name for device in devices[:2]])
