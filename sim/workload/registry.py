"""Every model family by the name a scenario uses, and published models by theirs."""

from __future__ import annotations

from typing import Any, Final

from sim.workload.dlrm import Dlrm
from sim.workload.first_order import FirstOrder
from sim.workload.oplist import OpList
from sim.workload.presets import PRESETS, canonical, preset_sizes
from sim.workload.records import Model
from sim.workload.recurrent import HighwayLM, LstmLM
from sim.workload.resnet import PlainConvNet, ResNet
from sim.workload.speech import AttentionSpeech
from sim.workload.traces import TraceModel
from sim.workload.transformer import Transformer
from sim.workload.translation import AttentionNmt
from sim.workload.vit import VisionTransformer

FAMILIES: Final[dict[str, type[Model]]] = {
    "attention_nmt": AttentionNmt,
    "attention_speech": AttentionSpeech,
    "chakra": TraceModel,
    "conv_net": PlainConvNet,
    "dlrm": Dlrm,
    "first_order": FirstOrder,
    "highway_lm": HighwayLM,
    "lstm_lm": LstmLM,
    "ops": OpList,
    "resnet": ResNet,
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
    return FAMILIES[PRESETS[key].family], preset_sizes(key)
