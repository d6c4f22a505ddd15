"""Algorithmic speed-ups, found by name."""

from typing import Final

from sim.plan.speedups.base import Effect, Speedup
from sim.plan.speedups.data_pruning import DataPruning
from sim.plan.speedups.gradient_compression import GradientCompression
from sim.plan.speedups.layer_freezing import LayerFreezing
from sim.plan.speedups.local_sgd import LocalSgd
from sim.plan.speedups.progressive_layer_dropping import ProgressiveLayerDropping
from sim.plan.speedups.progressive_resizing import ProgressiveResizing
from sim.plan.speedups.selective_backprop import SelectiveBackprop
from sim.plan.speedups.sequence_packing import SequencePacking
from sim.plan.speedups.stochastic_depth import StochasticDepth

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
    )
}
ELSEWHERE: Final[dict[str, str]] = {
    "mixed_precision": "workload.numerics",
    "quantised_training": "workload.numerics.compute",
    "structured_sparsity": "no published effect on a whole step is modelled",
    "recomputation": "plan.recompute",
    "mixture_of_experts": "workload.family, a model with experts",
    "large_batch": "plan.global_batch",
    "distillation": "foretrain footprint",
    "early_exit": "inference only",
}
"""Methods that other keys of a scenario say, and those that have none."""

__all__ = ["ELSEWHERE", "SPEEDUPS", "Effect", "Speedup"]
