"""What of the wall does not run on JAX."""

import keras

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
collect_ignore = (
    [] if ON_TENSORFLOW else ["test_serving.py", "test_replicas.py", "test_gpu_kernels.py"]
)
