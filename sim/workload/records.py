"""What a model asks for in one step, as one device of a sharded group sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final, Literal, Protocol, TypeAlias

from sim.errors import Problem
from sim.fields import Record, about, problem
from sim.ops import Format, Op, SparsePattern, Sparsity
from sim.records import dataclass
from sim.workload.checkpoints import checkpointed
from sim.workload.graph import Dataflow


class Recompute(StrEnum):
    """What backward computes again instead of keeping it."""

    NONE = "none"
    SELECTIVE = "selective"
    FULL = "full"


Policy: TypeAlias = Recompute | tuple[str, ...]
"""A named policy, or the ops whose results are kept."""


class OptimizerName(StrEnum):
    """How weights are updated."""

    SGD = "sgd"
    MOMENTUM = "momentum"
    ADAGRAD = "adagrad"
    ADAM = "adam"
    LARS = "lars"
    LAMB = "lamb"


BY_ROWS: Final = frozenset({OptimizerName.SGD, OptimizerName.ADAGRAD})
"""Rules that leave a row of an embedding as it is where its gradient is zero: no moment decays."""


class BatchNorm(StrEnum):
    """How much of batch normalisation has a pass of its own.

    passes: statistics, normalisation, sum and ReLU are ops. fused: one kernel normalises, adds the shortcut and
    rectifies, and leaves one bit per element for backward (cuDNN's BatchNormAddRelu). statistics: the sums of the
    forward pass also come out of the convolution that makes the tensor. convolution: forward, the next convolution
    normalises and rectifies what it loads (cuDNN's fused ops, MXNet's NormConvolution). compiled: backward too, and
    sums of gradients come out of the data gradients (XLA on TPU, compilers of other chips).
    """

    PASSES = "passes"
    FUSED = "fused"
    STATISTICS = "statistics"
    CONVOLUTION = "convolution"
    COMPILED = "compiled"


class MemoryFormat(StrEnum):
    """How images lie in memory: channels last (nhwc), or first (nchw)."""

    NHWC = "nhwc"
    NCHW = "nchw"


class AttentionKernel(StrEnum):
    """Scores written out, or FlashAttention; flash1: its kernels of 2022, flash2: of 2023, made for Ampere."""

    PLAIN = "plain"
    FLASH1 = "flash1"
    FLASH2 = "flash2"
    FLASH = "flash"


class LossKernel(StrEnum):
    """Cross-entropy in fp32 passes (Megatron-LM), as log-softmax and nll_loss of PyTorch, whose fp32 gradients are two
    more copies of the logits, in one kernel, so with two metrics beside it, or so with the product before it, some of
    the tokens after the other."""

    PASSES = "passes"
    PLAIN = "plain"
    FUSED = "fused"
    LOGGED = "logged"
    CHUNKED = "chunked"


class TableCut(StrEnum):
    """How embedding tables are cut over the ranks that share them."""

    ROWS = "rows"
    COLUMNS = "columns"
    TABLES = "tables"


class Launch(StrEnum):
    """How ops reach the device: one by one; the same and the host waits for every pass (Megatron-LM's timers),
    or for every kernel (`CUDA_LAUNCH_BLOCKING=1`); or compiled or captured, so that the host
    issues nothing per op."""

    EAGER = "eager"
    WAITED = "waited"
    BLOCKED = "blocked"
    GRAPH = "graph"


@dataclass(frozen=True, slots=True)
class Numerics(Record):
    """Formats and kernels of training. Defaults: bf16 mixed precision, Adam, fused pointwise ops, flash attention."""

    compute: Format = field(default="bf16", metadata=about("matrix products"))
    activations: Format = field(default="bf16", metadata=about("what is stored and streamed between ops"))
    weights: Format = field(default="bf16", metadata=about("the copy the matrix products read"))
    gradients: Format = field(default="bf16", metadata=about("gradients, and what is reduced of them"))
    master: Format | None = field(
        default="fp32", metadata=about("the copy the optimiser updates; null: it updates `weights` in place")
    )
    optimizer: OptimizerName = field(default=OptimizerName.ADAM, metadata=about("how weights are updated"))
    optimizer_format: Format = field(default="fp32", metadata=about("moments of the optimiser"))
    fused: bool = field(default=True, metadata=about("pointwise chains fused into one pass"))
    attention: AttentionKernel = field(
        default=AttentionKernel.FLASH,
        metadata=about("scores written out, or FlashAttention (flash1, flash2: its kernels of 2022, 2023)"),
    )
    shape_ops: bool = field(
        default=False,
        metadata=about(
            "unfused, reshapes, concatenations, reductions to an operand's shape are passes, and norms, dropout and "
            "softmax of a Transformer are made of several (TensorFlow 1)"
        ),
    )
    loss: LossKernel = field(
        default=LossKernel.PASSES,
        metadata=about(
            "cross-entropy in fp32 passes (Megatron-LM), plain (PyTorch's log-softmax and nll_loss of fp32 logits, 12 "
            "bytes a logit at the fullest), in one kernel (fused), so with two metrics beside it (logged), or so with "
            "the product before it, some tokens after others (chunked: Liger's fused linear cross-entropy)"
        ),
    )
    batch_norm: BatchNorm = field(
        default=BatchNorm.PASSES, metadata=about("how much of batch normalisation has a pass of its own")
    )
    memory_format: MemoryFormat = field(
        default=MemoryFormat.NHWC,
        metadata=about(
            "how images lie in memory: on matrix units a convolution of nchw tensors copies what it reads to nhwc first"
        ),
    )
    weighted_activations: bool = field(
        default=False,
        metadata=about("tokens are weighted before the second product of experts, whose outputs are not kept then"),
    )
    dispatch: Format | None = field(
        default=None,
        metadata=about("tokens, and gradients of their outputs, on their way to the experts; empty: as activations"),
    )
    launch: Launch = field(
        default=Launch.EAGER,
        metadata=about(
            "waited: the host waits for every pass (Megatron-LM's timers); "
            "blocked: for every kernel (CUDA_LAUNCH_BLOCKING=1); "
            "graph: compiled or captured, so that the host issues nothing per op"
        ),
    )
    eager_update: bool = field(
        default=False,
        metadata=about("Adam as one kernel per tensor operation, clipping among them, instead of one for all"),
    )
    kernel_rate: float = field(
        default=1.0,
        metadata=about("rates of kernels over those the chip was calibrated to: of an early compiler", gt=0, le=1),
    )
    clip: bool = field(
        default=False,
        metadata=about("gradients are scaled to a global norm in two passes of their own before the update"),
    )
    sparse_products: tuple[str, ...] = field(
        default=(), metadata=about("products whose weights are mostly zeros: names or patterns (`mlp.*`)")
    )
    sparse_pattern: SparsePattern = field(
        default=SparsePattern.TWO_OF_FOUR, metadata=about("where the weights kept lie: two of every four, or anywhere")
    )
    sparse_kept: float = field(default=0.5, metadata=about("share of these weights kept", gt=0, le=1))

    def contradictions(self) -> Iterator[Problem]:
        if self.sparse_pattern == SparsePattern.TWO_OF_FOUR and self.sparse_kept != 0.5:
            yield problem("sparse_kept", "must be 0.5 where two of every four are kept", self.sparse_kept)

    def sparsity(self, product: str) -> Sparsity | None:
        """The zeros among the weights of a product."""
        if any(fnmatchcase(product, name) for name in self.sparse_products):
            return Sparsity(self.sparse_pattern, self.sparse_kept)
        return None


@dataclass(frozen=True, slots=True)
class Shard:
    """Degrees that cut inside a layer."""

    tensor: int = 1
    sequence_parallel: bool = False  # activations between the tensor-parallel regions are split along the sequence
    context: int = 1
    expert: int = 1
    table_cut: TableCut = TableCut.ROWS  # of the tables that `expert` ranks share
    replicated_rows: int | None = None  # tables of at most so many rows are not cut; None: where that moves fewer bytes
    ring: bool = False  # context ranks pass keys and values on beside attention, instead of gathering them before

    def kept(self, sequence: int) -> int:
        """Positions of a sequence that one device keeps."""
        return sequence // self.context

    def whole(self, kept: int) -> int:
        """Positions of the sequence of which one device keeps so many."""
        return kept * self.context


@dataclass(frozen=True, slots=True)
class Parameter:
    """A weight tensor: `elements` held by one device after tensor/expert sharding.

    `reduce_axis`: over which ranks its gradient is summed ("expert" = data-parallel ranks that hold the same experts).
    `sparse_rows` > 0: an embedding whose gradient is only that many rows (per sub-batch) of `row_elements`,
    exchanged by all-gather when the plan says so.
    """

    name: str
    elements: float
    reduce_axis: Literal["data", "expert"] = "data"
    sparse_rows: int = 0
    row_elements: int = 0
    copy_elements: float = 0.0  # tied weights held by another layer: a stage without that layer keeps such a copy


@dataclass(frozen=True, slots=True)
class Layer:
    """`count` equal, consecutive, schedulable blocks of the model on one device, for one sub-batch."""

    name: str
    count: int
    kind: Literal["embedding", "block", "head"]
    forward: tuple[Op, ...]
    backward: tuple[Op, ...]  # data and weight gradients, in order
    parameters: tuple[Parameter, ...]
    saved_bytes: Mapping[Recompute, float]  # activations kept for backward, per sub-batch and block, by policy
    recompute: Mapping[Recompute, tuple[Op, ...]] = field(default_factory=dict)  # ops run again in backward
    output_bytes: float = 0.0  # what the next block (or pipeline stage) receives
    workspace_bytes: float = 0.0  # transient peak while the block runs, beyond saved activations
    updated: bool = False  # the optimiser's update is already among the ops (first-order laws)
    flow: Dataflow | None = field(default=None, compare=False, repr=False)  # of a block recorded as a graph

    def saved(self, policy: Policy) -> float:
        """Bytes kept for backward."""
        if not isinstance(policy, tuple):
            return self.saved_bytes.get(policy, self.saved_bytes.get(Recompute.NONE, 0.0))
        return checkpointed(self.flow, policy)[0] if self.flow else self.saved_bytes.get(Recompute.NONE, 0.0)

    def again(self, policy: Policy) -> tuple[Op, ...]:
        """Ops that backward runs for the second time."""
        if not isinstance(policy, tuple):
            return self.recompute.get(policy, ())
        return checkpointed(self.flow, policy)[1] if self.flow else ()

    @property
    def parameter_elements(self) -> float:
        """Weights of one block on this device."""
        return sum(p.elements for p in self.parameters)


class Model(Protocol):
    """A model with its sizes: knows its counts and expands to layers."""

    @property
    def name(self) -> str: ...

    @property
    def parameters(self) -> float:
        """All trainable parameters."""
        ...

    @property
    def active_parameters(self) -> float:
        """Parameters one unit (token) passes through; equal to `parameters` for dense models."""
        ...

    @property
    def units_per_sample(self) -> float:
        """Units (tokens, words, images …) the computation of one sample processes."""
        ...

    @property
    def padded(self) -> bool:
        """Whether a sample is one sentence or utterance padded to that length, so that the data says how many of its
        units are real; otherwise every unit computed is a unit of data (packed sequences, images)."""
        ...

    def flops_per_sample(self) -> tuple[float, float]:
        """(forward, training) model FLOPs of one sample: attention full, no recompute, no optimiser."""
        ...

    def layers(self, sub_batch: int, numerics: Numerics, shard: Shard = Shard()) -> tuple[Layer, ...]:
        """Blocks in forward order for `sub_batch` samples on one device of the sharded group."""
        ...
