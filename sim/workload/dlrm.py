"""Recommendation model DLRM (Naumov et al. 2019): embedding tables, bottom MLP, feature interaction, top MLP.

The tables hold nearly all parameters and do no arithmetic; each lookup touches a few hundred bytes at a random place.
`Shard.expert` splits them: a rank holds a share of the tables and serves its whole group by all-to-all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from itertools import pairwise
from typing import Any, ClassVar, Final, Literal

from sim.errors import InputError, Problem
from sim.fields import Record, about, problem, size
from sim.ops import BYTES_PER_ELEMENT, Collective, Gather, Gemm, Lump, Op, Pointwise
from sim.records import dataclass
from sim.workload.expand import layer_of
from sim.workload.graph import Tensor
from sim.workload.kernels import Frame, Kernels, bias_pass, gemm, pointwise, weight_gradient
from sim.workload.records import BY_ROWS, Layer, Numerics, Parameter, Shard, TableCut
from sim.workload.sizing import unsharded
from sim.workload.tables import Tables, parts_of_sum, table_share

CRITEO_40M: Final[tuple[int, ...]] = (
    39884406, 39043, 17289, 7420, 20263, 3, 7120, 1543, 63, 38532951, 2953546, 403346, 10,
    2208, 11938, 155, 4, 976, 14, 39979771, 25641295, 39664984, 585935, 12972, 108, 36,
)  # fmt: skip
"""Rows per table of MLPerf Training v0.7 to v2.1: Criteo 1TB with indices below 40M."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlrm(Record):
    """A DLRM with its sizes."""

    padded: ClassVar[bool] = False

    name: str = field(metadata=about("name of the model"), default="dlrm")
    tables: tuple[int, ...] = field(
        metadata=size("rows of each embedding table; by default MLPerf's", "rows"), default=CRITEO_40M
    )
    width: int = field(metadata=size("elements of an embedding row", "elements"), default=128)
    pooling: tuple[int, ...] = field(metadata=size("rows summed per table; empty: one each", "rows"), default=())
    dense_features: int = field(metadata=size("continuous inputs", "elements"), default=13)
    bottom: tuple[int, ...] = field(metadata=size("layers of the bottom MLP", "elements"), default=(512, 256, 128))
    top: tuple[int, ...] = field(metadata=size("layers of the top MLP"), default=(1024, 1024, 512, 256, 1))
    interaction: Literal["dot", "cross"] = field(metadata=about("feature interaction: dots, or DCN-v2"), default="dot")
    cross_layers: int = field(metadata=size("layers of the cross network", "layers"), default=3)
    cross_rank: int = field(metadata=size("rank of its products", "elements"), default=512)
    table_format: Literal["fp32", "fp16", "bf16"] = field(metadata=about("stored format of the tables"), default="fp32")

    def contradictions(self) -> Iterator[Problem]:
        if not self.tables:
            yield problem("tables", "needs at least one table", self.tables)
        if self.pooling and len(self.pooling) != len(self.tables):
            yield problem("pooling", f"needs one entry per table ({len(self.tables)})", self.pooling)
        if not self.bottom or self.bottom[-1] != self.width:
            yield problem("bottom", f"must end in width = {self.width}", self.bottom)
        if not self.top:
            yield problem("top", "needs at least one layer", self.top)

    @property
    def features(self) -> int:
        """Vectors that interact: one per table, and the bottom MLP's."""
        return len(self.tables) + 1

    @property
    def interaction_width(self) -> int:
        """Input of the top MLP: dense vector and pairwise dots, or the cross network's vector."""
        if self.interaction == "cross":
            return self.features * self.width
        return self.width + self.features * (self.features - 1) // 2

    @property
    def lookups(self) -> int:
        """Rows read per sample."""
        return sum(self.pooling) if self.pooling else len(self.tables)

    def mlp_sizes(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """(inputs, outputs) of every layer of bottom and top MLP."""
        bottom = list(pairwise((self.dense_features, *self.bottom)))
        return bottom, list(pairwise((self.interaction_width, *self.top)))

    @property
    def cross_elements(self) -> int:
        """Weights of the cross network: two thin matrices and a bias per layer (Wang et al. 2021)."""
        if self.interaction != "cross":
            return 0
        n = self.interaction_width
        return self.cross_layers * (2 * n * self.cross_rank + n)

    @property
    def table_elements(self) -> float:
        return float(sum(self.tables)) * self.width

    @property
    def parameters(self) -> float:
        dense = sum(i * o + o for sizes in self.mlp_sizes() for i, o in sizes)
        return self.table_elements + dense + self.cross_elements

    @property
    def active_parameters(self) -> float:
        """Of the tables only the rows looked up."""
        return self.parameters - self.table_elements + self.lookups * self.width

    @property
    def units_per_sample(self) -> float:
        return 1.0

    def flops_per_sample(self) -> tuple[float, float]:
        """Products of MLPs and interaction; the first bottom layer has no data gradient."""
        bottom, top = self.mlp_sizes()
        forward = 2.0 * sum(i * o for i, o in (*bottom, *top))
        if self.interaction == "dot":
            forward += 2.0 * self.features**2 * self.width
        else:
            forward += 4.0 * self.cross_layers * self.interaction_width * self.cross_rank
        return forward, 3 * forward - 2.0 * bottom[0][0] * bottom[0][1]

    def layers(self, sub_batch: int, numerics: Numerics, shard: Shard = Shard()) -> tuple[Layer, ...]:
        """Tables, bottom MLP, interaction with top MLP."""
        self._check(sub_batch, shard)
        f = Frame(
            numerics=numerics,
            sub_batch=sub_batch,
            sequence=1,
            expert=shard.expert,
            table_cut=shard.table_cut,
            replicated_rows=shard.replicated_rows,
        )
        bottom, top = self.mlp_sizes()
        below, head = Kernels(f, "bottom"), Kernels(f, "interaction and top", "head")
        features = below.taken("features", sub_batch * self.dense_features)
        below.left(perceptron(below, "bottom", bottom, features, first=True))
        vectors = head.taken("vectors", sub_batch * self.features * self.width)
        head.left(perceptron(head, "top", top, self.interact(head, vectors)))
        cross = (Parameter("cross", self.cross_elements),) if self.cross_elements else ()
        return (
            self.table_layer(f),
            layer_of(below, (parameter("bottom", bottom),), 1, sub_batch * bottom[-1][1] * f.act),
            layer_of(head, (parameter("top", top), *cross)),
        )

    @classmethod
    def sized(cls, parameters: float, **fixed: Any) -> Dlrm:
        """The DLRM of about `parameters`: all tables grow or shrink together (MLPerf's when none are given)."""
        shape = fixed.pop("tables", CRITEO_40M)
        given = cls(**{**fixed, "tables": shape})
        factor = max(0.0, parameters - given.parameters + given.table_elements) / given.table_elements
        return cls(**{**fixed, "tables": tuple(max(1, round(rows * factor)) for rows in shape)})

    def _check(self, sub_batch: int, shard: Shard) -> None:
        unsharded("DLRM", shard, "expert", "use data parallelism, and expert to split the tables")
        if sub_batch < 1:
            raise InputError(Problem("must be at least 1", "sub_batch", str(sub_batch)))

    def table_layer(self, f: Frame) -> Layer:
        """Lookup and pooling of this rank's tables for its group, and the exchange of pooled vectors.

        A small table stands on every rank where its gradient is fewer bytes than its vectors, which cross twice as an
        all-reduce does.
        """
        size, kind = BYTES_PER_ELEMENT[self.table_format], self.table_format
        whole = Tables(self.tables, self.pooling or (1,) * len(self.tables))
        cut, small = whole.split(self._kept_whole(f, whole))
        served, own = (
            table_share(cut, self.width, f.expert, f.table_cut),
            table_share(small, self.width, 1, f.table_cut),
        )
        k, forward, backward, held = Kernels(f, "tables", "embedding"), list[Op](), list[Op](), list[Parameter]()
        looked_up = 0
        for name, axis, share in (("tables", "expert", served), ("small tables", "data", own)):
            if share.rows == 0.0:
                continue
            rows, elements = round(f.sub_batch * share.lookups), share.rows * share.width
            looked_up += rows
            forward.append(Gather(f"{name}.lookup", rows, share.width * size, elements * size, False, kind))
            backward.append(self._table_gradient(f, name, rows, share.width, elements))
            held.append(
                Parameter(name, elements, "expert" if f.expert > 1 and axis == "expert" else "data", rows, share.width)
            )
        if f.expert > 1 and cut.rows:
            sent = f.sub_batch * served.vectors * self.width * f.act
            moved = Collective("tables.exchange", "all_to_all", sent, "expert", f.numerics.activations)
            forward, backward = [*forward, moved], [moved, *backward]
        pooled, indices = f.sub_batch * len(self.tables) * self.width, Tensor("indices", looked_up, looked_up * 8.0)
        k.left(k.kernel((), k.stored("pooled", pooled), forward, backward, saves=(indices,), makes=(indices,)))
        return layer_of(k, tuple(held), 1, pooled * f.act)  # indices of 64 bits

    def _table_gradient(self, f: Frame, name: str, rows: int, width: int, elements: float) -> Op:
        """Of vectors, the gradient of a table: `rows` rows for an update by rows, else summed into one of its size."""
        size = BYTES_PER_ELEMENT[self.table_format]
        if f.numerics.optimizer not in BY_ROWS:
            return Gather(f"{name}.scatter", rows, width * size, elements * size, True, self.table_format)
        n = float(rows * width)
        return Pointwise(f"{name}.gradient_rows", n, n * f.act, n * size, 0.0, self.table_format)

    def _kept_whole(self, f: Frame, tables: Tables) -> list[float]:
        """The most rows every table may have to stand on every rank."""
        if f.expert == 1:
            return [0.0] * len(tables.rows)
        if f.replicated_rows is not None:
            return [float(f.replicated_rows)] * len(tables.rows)
        ratio = f.sub_batch * f.act / BYTES_PER_ELEMENT[f.numerics.gradients]
        parts = f.table_cut == TableCut.ROWS
        return [ratio * (parts_of_sum(pooled, f.expert) if parts else 1.0) for pooled in tables.pooling]

    def interact(self, k: Kernels, x: Tensor) -> Tensor:
        """Pairwise dots of all vectors of a sample, or the low-rank cross network (Wang et al. 2021)."""
        stack = pointwise(k.f, "interaction.stack", x.elements, k.f.act, k.f.act, 0.0)
        if self.interaction == "dot":
            return self.dots(k, x, stack)
        x = k.kernel((x,), k.stored("stacked", x.elements), [stack], [])
        for layer in range(self.cross_layers):
            x = self.cross(k, x, f"product {layer}")
        return x

    def dots(self, k: Kernels, x: Tensor, stack: Op) -> Tensor:
        """Every vector of a sample times every other, each pair picked once; fused, by a kernel each way that reads the
        vectors where they are and writes the pairs (HugeCTR's interaction_layer.cu, `dot_based_interact` of NVIDIA's
        DeepLearningExamples)."""
        f, n, d, b = k.f, self.features, self.width, k.f.tokens
        out = b * self.interaction_width
        if f.numerics.fused:
            flops, moved, types = 2.0 * n * n * d * b, x.elements * f.act, f.numerics.compute
            once = Lump("interaction", flops, moved, out * f.act, format=types)
            back = Lump("interaction.backward", 2 * flops, moved + out * f.act, moved, format=types)
            return k.kernel((x,), k.stored("interaction", out), [once], [back], saves=(x,))
        pick = pointwise(f, "interaction.pick", out, f.act, f.act, 0.0)
        forward: list[Op] = [stack, gemm(f, "interaction", n, n, d, b), pick]
        backward: list[Op] = [
            pointwise(f, "interaction.pick.backward", b * n * n, f.act, f.act, 0.0),
            Gemm("interaction.grad", n, d, n, b, f.numerics.compute, f.numerics.activations, count=2),
            pointwise(f, "interaction.stack.backward", x.elements, 2 * f.act, f.act),
        ]
        return k.kernel((x,), k.stored("interaction", out), forward, backward, saves=(x,))

    def cross(self, k: Kernels, x: Tensor, name: str) -> Tensor:
        """One layer x₀·(U·V·x + b) + x, which keeps x and the product."""
        f, b, width, rank = k.f, k.f.tokens, self.interaction_width, self.cross_rank
        forward: list[Op] = [
            gemm(f, "cross.down", b, rank, width),
            gemm(f, "cross.up", b, width, rank),
            pointwise(f, "cross.product", x.elements, 3 * f.act, f.act, 2.0),
        ]
        backward: list[Op] = [
            pointwise(f, "cross.product.backward", x.elements, 4 * f.act, 2 * f.act, 3.0),
            gemm(f, "cross.up.dgrad", b, rank, width),
            weight_gradient(f, "cross.up.wgrad", width, rank, b),
            gemm(f, "cross.down.dgrad", b, width, rank),
            weight_gradient(f, "cross.down.wgrad", rank, width, b),
        ]
        kept = k.stored(name, x.elements)
        return k.kernel((x,), k.stored("crossed", x.elements), forward, backward, saves=(x, kept), makes=(kept,))


def perceptron(k: Kernels, name: str, sizes: list[tuple[int, int]], x: Tensor, *, first: bool = False) -> Tensor:
    """Linear layers with bias and activation; the first layer of a model needs no data gradient.

    Fused, the activation is in the epilogue of the product, and its mask in that of the next layer's data gradient.
    """
    f = k.f
    for i, (inputs, outputs) in enumerate(sizes):
        label, elements = f"{name}.{i}", f.tokens * outputs
        gradient = [] if first and i == 0 else [gemm(f, f"{label}.dgrad", f.tokens, inputs, outputs)]
        gradient.append(weight_gradient(f, f"{label}.wgrad", outputs, inputs, f.tokens))
        product = [gemm(f, label, f.tokens, outputs, inputs), *bias_pass(f, label, elements)]
        joins = first and i == 0
        if f.numerics.fused:
            x = k.kernel((x,), k.stored(f"{label} activated", elements), product, gradient, saves=(x,), joins=joins)
            continue
        y = k.kernel((x,), k.stored(label, elements), product, gradient, saves=(x,), joins=joins)
        bent = k.stored(f"{label} activated", elements)
        act = pointwise(f, f"{label}.activation", elements, f.act, f.act)
        back = pointwise(f, f"{label}.activation.backward", elements, 2 * f.act, f.act)
        x = k.kernel((y,), bent, [act], [back], saves=(bent,))
    return x


def parameter(name: str, sizes: list[tuple[int, int]]) -> Parameter:
    """Weights and biases of linear layers."""
    return Parameter(name, float(sum(i * o + o for i, o in sizes)))
