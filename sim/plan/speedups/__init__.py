"""Algorithmic speed-ups, found by name."""

from typing import Final

from sim.plan.speedups.base import Effect, FirstOf, Speedup
from sim.plan.speedups.channel_pruning import ChannelPruning
from sim.plan.speedups.data_pruning import DataPruning
from sim.plan.speedups.distillation import Distillation
from sim.plan.speedups.gradient_compression import GradientCompression
from sim.plan.speedups.layer_freezing import LayerFreezing
from sim.plan.speedups.local_sgd import LocalSgd
from sim.plan.speedups.low_rank import LowRank
from sim.plan.speedups.mixed_precision import MixedPrecision
from sim.plan.speedups.mixture_of_experts import MixtureOfExperts
from sim.plan.speedups.progressive_layer_dropping import ProgressiveLayerDropping
from sim.plan.speedups.progressive_resizing import ProgressiveResizing
from sim.plan.speedups.quantised_training import QuantisedTraining
from sim.plan.speedups.recomputation import Recomputation
from sim.plan.speedups.selective_backprop import SelectiveBackprop
from sim.plan.speedups.sequence_packing import SequencePacking
from sim.plan.speedups.stochastic_depth import StochasticDepth
from sim.plan.speedups.structured_sparsity import StructuredSparsity

SPEEDUPS: Final[dict[str, Speedup]] = {
    method.name: method
    for method in (
        LayerFreezing(),
        ProgressiveResizing(),
        SelectiveBackprop(),
        StochasticDepth(),
        ProgressiveLayerDropping(),
        SequencePacking(),
        DataPruning(),
        GradientCompression(),
        LocalSgd(),
        ChannelPruning(),
        LowRank(),
        StructuredSparsity(),
        MixedPrecision(),
        QuantisedTraining(),
        Recomputation(),
        MixtureOfExperts(),
        Distillation(),
    )
}
ELSEWHERE: Final[dict[str, str]] = {
    "large_batch": "plan.global_batch",
    "early_exit": "inference only",
}
"""Methods that other keys of a scenario say, and those that have none."""

__all__ = ["ELSEWHERE", "SPEEDUPS", "Effect", "FirstOf", "Speedup"]
