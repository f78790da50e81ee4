"""How evenly sparse experts are used: what `fit` logs of them, kept and by layer over seeds.

A layer with sparse experts logs, as `moe/LAYER/...`, the share of the choices that fell on each
expert (`load_0`, `load_1`, ...; of many experts only `load_min` and `load_max`), the share
`dropped`, and what else it knows of its router.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

EXPERTS = "moe/"
_LOAD = "load_"
_EACH = re.compile(_LOAD + "[0-9]+")
_EXTREMES = {"least used": "load_min", "most used": "load_max"}


@dataclass(frozen=True)
class LayerLoad:
    """How often one layer's experts were chosen, on the validation rows of the kept epochs.

    Attributes:
        data: what tables call the data.
        model: what tables call the model.
        layer: name of the layer.
        shares: shares of the choices, one a seed, by expert: `"0"`, `"1"`, ..., or `"least used"`
            and `"most used"`.
        dropped: share of the choices that found no room, mean over seeds; NaN where not told.
        even: 1 / E; NaN where only two shares are told and the study file does not say E.
    """

    data: str
    model: str
    layer: str
    shares: Mapping[str, Sequence[float]]
    dropped: float
    even: float

    @property
    def title(self) -> str:
        """The layer and what it dropped."""
        if math.isnan(self.dropped):
            return self.layer
        return f"{self.layer}, dropped {100 * self.dropped:.1f} %"


def kept_load(history: Mapping[str, Sequence[float]], epoch: int) -> dict[str, dict[str, float]]:
    """What layers logged of their experts on the validation rows of one epoch, by layer.

    Example:
        >>> kept_load({"loss": [3.0], "val_moe/ffn/load_0": [0.2, 0.25]}, 1)
        {'ffn': {'load_0': 0.25}}
    """
    found: dict[str, dict[str, float]] = {}
    for key, values in history.items():
        if key.startswith(f"val_{EXPERTS}"):
            layer, _, figure = key.removeprefix(f"val_{EXPERTS}").rpartition("/")
            found.setdefault(layer, {})[figure] = float(values[epoch])
    return found


def loads_of(rows: Sequence[Mapping[str, str]]) -> list[LayerLoad]:
    """The load of every layer that tells it, from the rows of `results.csv`."""
    told: dict[tuple[str, str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        if row["task"].startswith(EXPERTS):
            layer = row["task"].removeprefix(EXPERTS)
            told.setdefault((row["data"], row["model"], layer), []).append(row)
    loads = (_load(*key, of_layer) for key, of_layer in told.items())
    return [load for load in loads if load.shares]  # a layer may log other things alone


def _load(data: str, model: str, layer: str, rows: Sequence[Mapping[str, str]]) -> LayerLoad:
    figures: dict[str, list[float]] = {}
    for row in rows:
        figures.setdefault(row["metric"], []).append(float(row["value"]))
    numbers = sorted(int(name.removeprefix(_LOAD)) for name in figures if _EACH.fullmatch(name))
    if numbers:
        shares = {str(number): figures[f"{_LOAD}{number}"] for number in numbers}
        experts = len(numbers)
    else:
        shares = {said: figures[name] for said, name in _EXTREMES.items() if name in figures}
        experts = json.loads(rows[0]["settings"])["model_arguments"].get("num_experts")
    dropped = float(np.mean(figures["dropped"])) if "dropped" in figures else math.nan
    return LayerLoad(data, model, layer, shares, dropped, 1 / experts if experts else math.nan)
