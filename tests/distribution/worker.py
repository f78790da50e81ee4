"""One worker of a cluster that `TF_CONFIG` describes; run as a script.

python worker.py RESULT.npz
"""

import sys


def main(result: str) -> None:
    import tensorflow as tf

    # Before any other operation: the strategy starts the server of this worker.
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    assert strategy.num_replicas_in_sync == 2

    import numpy as np

    from tests.distribution.problem import make_model, run

    with strategy.scope():
        model = make_model()
    np.savez(result, **run(model))


if __name__ == "__main__":
    main(*sys.argv[1:])
