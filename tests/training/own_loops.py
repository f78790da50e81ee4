"""Models with a `train_step` of their own, in TensorFlow's words."""

import tensorflow as tf

from keras_mtl import MultiTaskModel


class OwnStep(MultiTaskModel):
    """The gradients' half of the `train_step` of Keras' guide to custom training."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self.logs(x, y, y_pred, loss)


class Guide(OwnStep):
    """Updates metrics one by one, as that guide does."""

    def logs(self, x, y, y_pred, loss):
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


class Logging(OwnStep):
    """Hands the logs to `compute_metrics`."""

    def logs(self, x, y, y_pred, loss):
        return self.compute_metrics(x, y, y_pred)
