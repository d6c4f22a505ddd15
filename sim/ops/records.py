"""Op records: frozen, hashable (identical ops are costed once), SI units."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from sim.ops.formats import BYTES_PER_ELEMENT, Format
from sim.ops.sparsity import Sparsity
from sim.records import dataclass

CollectiveKind = Literal[
    "all_reduce", "reduce_scatter", "all_gather", "all_to_all", "broadcast", "reduce", "send", "barrier"
]


@dataclass(frozen=True, slots=True)
class Gemm:
    """C[m,n] = A[m,k]·B[k,n], `batch` independent products; `accumulate` reads C as well.

    `transposed`: k counts samples, so that memory holds rows of m and of n elements (weight gradients).
    `sparsity`: of B, whose zeros are not stored; `flops` counts them all the same.  `kept_as`: the format B is stored
    in where it is widened on the way to the unit (weights of 4 bits, products of 16).  `parts`: widths of the products
    of the model that run as this one (query, key, value).
    """

    name: str
    m: int
    n: int
    k: int
    batch: int = 1
    format: Format = "bf16"
    out_format: Format | None = None
    accumulate: bool = False
    count: int = 1
    transposed: bool = False
    sparsity: Sparsity | None = None
    kept_as: Format | None = None
    parts: tuple[int, ...] = ()

    @property
    def flops(self) -> float:
        return 2.0 * self.batch * self.m * self.n * self.k

    @property
    def weight_bytes(self) -> float:
        """Bytes of B."""
        return self.batch * self.k * self.n * _stored(self.kept_as or self.format, self.sparsity)

    @property
    def bytes_read(self) -> float:
        inputs = self.batch * self.m * self.k * BYTES_PER_ELEMENT[self.format] + self.weight_bytes
        return inputs + (self.bytes_written if self.accumulate else 0.0)

    @property
    def bytes_written(self) -> float:
        return self.batch * self.m * self.n * BYTES_PER_ELEMENT[self.out_format or self.format]


@dataclass(frozen=True, slots=True)
class Convolution:
    """2-D convolution of `n` images, output h×w; forward, data gradient or weight gradient (equal FLOPs)."""

    name: str
    n: int
    h_out: int
    w_out: int
    c_in: int
    c_out: int
    kernel_h: int
    kernel_w: int
    stride: int = 1
    groups: int = 1
    direction: Literal["forward", "data", "weight"] = "forward"
    format: Format = "bf16"
    count: int = 1
    sparsity: Sparsity | None = None  # of the filters
    kept_as: Format | None = None  # the filters, where widened on the way to the unit

    @property
    def flops(self) -> float:
        outputs = self.n * self.h_out * self.w_out * self.c_out
        return 2.0 * outputs * (self.c_in // self.groups) * self.kernel_h * self.kernel_w

    @property
    def input_bytes(self) -> float:
        return self.n * self.h_out * self.stride * self.w_out * self.stride * self.c_in * BYTES_PER_ELEMENT[self.format]

    @property
    def weight_bytes(self) -> float:
        elements = self.c_out * (self.c_in // self.groups) * self.kernel_h * self.kernel_w
        return elements * _stored(self.kept_as or self.format, self.sparsity)

    @property
    def output_bytes(self) -> float:
        return self.n * self.h_out * self.w_out * self.c_out * BYTES_PER_ELEMENT[self.format]

    @property
    def bytes_read(self) -> float:
        return self.input_bytes + self.weight_bytes + self.output_bytes - self.bytes_written

    @property
    def bytes_written(self) -> float:
        if self.direction == "forward":
            return self.output_bytes
        return self.input_bytes if self.direction == "data" else self.weight_bytes


@dataclass(frozen=True, slots=True)
class Attention:
    """Fused (flash) attention: Q·Kᵀ, softmax, ·V without writing the score matrix.

    `flops`, what `mfu` counts, is the full rectangle of queries and keys; `executed_flops` is what runs: the `share`
    of it that is not masked (half of it where causal, unless stated).  Backward recomputes the scores: 5 products
    against 2 forward.
    """

    name: str
    batch: int
    heads: int
    kv_heads: int
    q_len: int
    kv_len: int
    head_dim: int
    v_head_dim: int | None = None
    causal: bool = True
    backward: bool = False
    format: Format = "bf16"
    count: int = 1
    generation: Literal[1, 2, 3] = 3  # of the kernel: FlashAttention of 2022, of 2023, the chip's own
    share: float | None = None  # of the rectangle q_len·kv_len that is not masked; None: half where causal, else all

    @property
    def unmasked(self) -> float:
        """Share of the rectangle of queries and keys that is not masked."""
        return self.share if self.share is not None else 0.5 if self.causal else 1.0

    @property
    def flops(self) -> float:
        """Model FLOPs: 2 products forward, 4 backward, over the full square."""
        products = 2 if self.backward else 1
        pair = self.head_dim + (self.v_head_dim or self.head_dim)
        return 2.0 * products * self.batch * self.heads * self.q_len * self.kv_len * pair

    @property
    def executed_flops(self) -> float:
        """What runs: 2 products forward, 5 backward, over what is not masked."""
        rerun = 1.25 if self.backward else 1.0
        return self.flops * rerun * self.unmasked

    @property
    def bytes_read(self) -> float:
        size = BYTES_PER_ELEMENT[self.format]
        q = self.batch * self.heads * self.q_len * self.head_dim * size
        kv = self.batch * self.kv_heads * self.kv_len * (self.head_dim + (self.v_head_dim or self.head_dim)) * size
        return q + kv + (2 * self.bytes_written if self.backward else 0.0)

    @property
    def bytes_written(self) -> float:
        size = BYTES_PER_ELEMENT[self.format]
        v = self.v_head_dim or self.head_dim
        out = self.batch * self.heads * self.q_len * v * size
        if not self.backward:
            return out
        return (
            self.batch * self.heads * self.q_len * self.head_dim * size
            + self.batch * self.kv_heads * self.kv_len * (self.head_dim + v) * size
        )


@dataclass(frozen=True, slots=True)
class Gather:
    """`rows` rows of `row_bytes` taken from (`scatter`: added into) a table of `table_bytes`, at random places."""

    name: str
    rows: int
    row_bytes: float
    table_bytes: float
    scatter: bool = False
    format: Format = "fp32"
    count: int = 1

    @property
    def flops(self) -> float:
        return self.rows * self.row_bytes / BYTES_PER_ELEMENT[self.format] if self.scatter else 0.0

    @property
    def bytes_read(self) -> float:
        return self.rows * self.row_bytes * (2 if self.scatter else 1)

    @property
    def bytes_written(self) -> float:
        return self.rows * self.row_bytes


@dataclass(frozen=True, slots=True)
class Pointwise:
    """Elementwise, normalisation, softmax, reduction, optimiser update: streams `reads` and `writes` bytes.

    `stored`: from memory to memory (optimiser, sums of gradients), which stacks that compute do among themselves.
    """

    name: str
    elements: float
    reads: float
    writes: float
    flops_per_element: float = 1.0
    format: Format = "bf16"
    count: int = 1
    stored: bool = False

    @property
    def flops(self) -> float:
        return self.elements * self.flops_per_element

    @property
    def bytes_read(self) -> float:
        return self.reads

    @property
    def bytes_written(self) -> float:
        return self.writes


@dataclass(frozen=True, slots=True)
class Lump:
    """FLOPs and bytes whatever their shape: a first-order law (paper, Table 2), a trace node, a kernel with tiles of
    its own (DLRM's interaction)."""

    name: str
    flops: float
    bytes_read: float
    bytes_written: float = 0.0
    duration_s: float | None = None  # a recorded duration, replayed as it is
    format: Format = "fp32"
    count: int = 1


Axis = Literal["data", "tensor", "pipeline", "context", "expert"]
"""Along which ranks a collective runs: every parallel axis there is."""


@dataclass(frozen=True, slots=True)
class Collective:
    """Communication inside the computation. `bytes` is the full buffer of one rank:
    all-reduce: the reduced tensor; reduce-scatter: the input; all-gather: the output; all-to-all: what a rank holds.
    """

    name: str
    kind: CollectiveKind
    bytes: float
    axis: Axis
    format: Format = "bf16"
    overlap: bool = False  # may run beside the next compute op
    count: int = 1

    @property
    def flops(self) -> float:
        return 0.0

    @property
    def bytes_read(self) -> float:
        return 0.0

    @property
    def bytes_written(self) -> float:
        return 0.0


Op: TypeAlias = Gemm | Convolution | Attention | Gather | Pointwise | Lump | Collective


def _stored(number: Format, sparsity: Sparsity | None) -> float:
    size = BYTES_PER_ELEMENT[number]
    return size if sparsity is None else sparsity.bytes_per_element(size)


def sparsity_of(op: Op) -> Sparsity | None:
    """The zeros among an op's weights."""
    return op.sparsity if isinstance(op, Gemm | Convolution) else None


def executed_flops(op: Op) -> float:
    """FLOPs that run: the causal half, the recomputed scores; of sparse weights those kept."""
    if isinstance(op, Attention):
        return op.executed_flops
    sparsity = sparsity_of(op)
    return op.flops if sparsity is None else op.flops * sparsity.kept


def total_flops(ops: Iterable[Op]) -> float:
    """Algorithmic FLOPs of all ops, each `count` times."""
    return sum(op.flops * op.count for op in ops)


def total_bytes(ops: Iterable[Op]) -> float:
    """Algorithmic bytes read and written by all ops, each `count` times."""
    return sum((op.bytes_read + op.bytes_written) * op.count for op in ops)
