"""A trained model as TF Serving wants it."""

from keras_mtl.serving.check import check_export
from keras_mtl.serving.report import ExportReport

__all__ = ["ExportReport", "check_export"]
