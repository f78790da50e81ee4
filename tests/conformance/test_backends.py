"""The package on a backend that is not TensorFlow. The numbers themselves: test_goldens.py."""

import os
import subprocess
import sys

SCRIPT = """
import sys
import numpy as np
import keras_mtl

model = keras_mtl.zoo.mmoe(3, ["a"], num_experts=2, expert_units=2, tower_units=2)
model.compile("sgd")
model.fit(np.ones((4, 3), "float32"), np.ones(4), verbose=0)
sys.exit("TensorFlow was imported" if "tensorflow" in sys.modules else 0)
"""


def test_the_package_imports_no_tensorflow_on_jax() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
