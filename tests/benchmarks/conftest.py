"""Makes the repository's folder importable: `benchmarks` is not installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
