"""Every model family by the name a scenario uses."""

from __future__ import annotations

from typing import Any, Final

from sim.workload.dlrm import Dlrm
from sim.workload.first_order import FirstOrder
from sim.workload.presets import PRESETS, canonical
from sim.workload.records import Model
from sim.workload.recurrent import LstmLM
from sim.workload.traces import TraceModel
from sim.workload.transformer import Transformer
from sim.workload.vit import VisionTransformer

FAMILIES: Final[dict[str, type[Model]]] = {
    "chakra": TraceModel,
    "dlrm": Dlrm,
    "first_order": FirstOrder,
    "lstm_lm": LstmLM,
    "transformer": Transformer,
    "vit": VisionTransformer,
}


def family_of(name: str) -> tuple[type[Model], dict[str, Any]] | None:
    """Class and sizes already given: none for a family, all for a published model (`gpt3-175b`); None if unknown."""
    if name in FAMILIES:
        return FAMILIES[name], {}
    key = canonical(name)
    if key is None:
        return None
    found = PRESETS[key]
    return FAMILIES[found.family], {**found.sizes, "name": key}
