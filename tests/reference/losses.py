"""A task's loss by its definition, in float64: sum of w c l over the labelled entries, over n."""

import numpy as np


def sigmoid(logits):
    return np.exp(-np.logaddexp(0, -np.asarray(logits, "float64")))


def softmax(logits):
    shifted = np.asarray(logits, "float64") - np.max(logits, axis=-1, keepdims=True)
    return np.exp(shifted) / np.exp(shifted).sum(-1, keepdims=True)


def crossentropy(labels, logits):
    """Entry losses (..., U) and their slopes; labels and logits (..., U)."""
    logits = np.asarray(logits, "float64")
    return np.logaddexp(0, logits) - labels * logits, sigmoid(logits) - labels


def class_crossentropy(classes, logits):
    """Entry losses (..., 1) and their slopes (..., U); classes (..., 1)."""
    logits = np.asarray(logits, "float64")
    one_hot = classes == np.arange(logits.shape[-1])
    log_sum = np.log(np.exp(logits - logits.max()).sum(-1, keepdims=True)) + logits.max()
    return log_sum - (one_hot * logits).sum(-1, keepdims=True), softmax(logits) - one_hot


def squared_error(labels, values):
    """Entry losses (..., U) and their slopes."""
    error = np.asarray(values, "float64") - labels
    return error**2, 2 * error


def product_crossentropy(labels, *logits):
    """Cross-entropy of the product of probabilities, and its slope in every logit; all (B, 1)."""
    log_product = sum(-np.logaddexp(0, -np.asarray(z, "float64")) for z in logits)
    complement = -np.expm1(log_product)
    losses = -labels * log_product - (1 - labels) * np.log(complement)
    slope = -labels + (1 - labels) * np.exp(log_product) / complement
    return losses, [slope * sigmoid(-np.asarray(z, "float64")) for z in logits]


ENTRIES = {
    "binary": crossentropy,
    "multilabel": crossentropy,
    "multiclass": class_crossentropy,
    "regression": squared_error,
}


def over_labelled(entries, known, weights=1.0):
    """Sum of weighted entries over the number of known ones; no entry, no loss."""
    count = known.sum()
    return np.where(known, entries * weights, 0).sum() / count if count else 0.0


def task_loss(kind, labels, outputs, known, weights=1.0):
    """Loss of a task and its gradient in the outputs; all (B, ..., U), weights of any shape."""
    losses, slopes = ENTRIES[kind](np.where(known, labels, 0), outputs)
    gradient = np.where(known, slopes * weights, 0) / max(known.sum(), 1)
    return over_labelled(losses, known, weights), gradient
