"""Metrics that see only labelled entries and stay exact over batches and replicas."""

from keras_mtl.metrics.auc import AUC

__all__ = ["AUC"]
