"""Every model family by the name a scenario uses."""

from __future__ import annotations

from typing import Final

from sim.workload.dlrm import Dlrm
from sim.workload.first_order import FirstOrder
from sim.workload.oplist import OpList
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
