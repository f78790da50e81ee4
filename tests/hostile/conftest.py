"""Hypothesis keeps its files in a folder that goes away."""

import tempfile

from hypothesis import configuration

FOLDER = tempfile.TemporaryDirectory(prefix="hypothesis-")
configuration.set_hypothesis_home_dir(FOLDER.name)
