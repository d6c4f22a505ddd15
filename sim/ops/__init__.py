"""The shared vocabulary of work: what an op asks for, without saying on which chip or link.

Every op counts *algorithmic* FLOPs and bytes (each operand once).  What a cache or a tile makes of them
is `sim.device`'s business; what a link makes of a `Collective` is `sim.network`'s.
All ops share `name`, `format`, `count` (times executed one after the other, not batched), and the per-execution
properties `flops`, `bytes_read`, `bytes_written`.
"""

from sim.ops.formats import BLOCKS, BYTES_PER_ELEMENT, ELEMENT_BYTES, PLAIN, Format
from sim.ops.records import (
    Attention,
    Axis,
    Collective,
    CollectiveKind,
    Convolution,
    Gather,
    Gemm,
    Lump,
    Op,
    Pointwise,
    executed_flops,
    sparsity_of,
    total_bytes,
    total_flops,
)
from sim.ops.sparsity import SparsePattern, Sparsity

__all__ = [
    "BLOCKS",
    "BYTES_PER_ELEMENT",
    "ELEMENT_BYTES",
    "PLAIN",
    "Attention",
    "Axis",
    "Collective",
    "CollectiveKind",
    "Convolution",
    "Format",
    "Gather",
    "Gemm",
    "Lump",
    "Op",
    "Pointwise",
    "SparsePattern",
    "Sparsity",
    "executed_flops",
    "sparsity_of",
    "total_bytes",
    "total_flops",
]
