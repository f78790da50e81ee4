"""`python -m zoo ple` is `keras-mtl run zoo/ple/study.toml`."""

import sys
from pathlib import Path

from keras_mtl_command import run_by_name

sys.exit(run_by_name(Path(__file__).parent, sys.argv[1:]))
