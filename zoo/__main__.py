"""`python -m zoo ple` is `keras-mtl run zoo/ple/study.toml`."""

import os
import sys
from pathlib import Path

# Before TensorFlow loads: its complaints about a missing GPU would bury the study's own words.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_mtl.__main__ import run_by_name

sys.exit(run_by_name(Path(__file__).parent, sys.argv[1:]))
