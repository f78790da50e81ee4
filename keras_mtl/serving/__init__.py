"""A trained model as TF Serving wants it."""

from keras_mtl.serving.saved_model import export_saved_model

__all__ = ["export_saved_model"]
