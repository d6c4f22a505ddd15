"""Recommendation model DLRM (Naumov et al. 2019): embedding tables, bottom MLP, feature interaction, top MLP.

The tables hold nearly all parameters and do no arithmetic; each lookup touches a few hundred bytes at a random place.
`Shard.expert` splits them: a rank holds a share of the tables and serves its whole group by all-to-all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Final, Literal

from sim.errors import InputError, Problem
from sim.fields import about
from sim.ops import BYTES_PER_ELEMENT, Collective, Gather, Gemm, Op
from sim.workload.kernels import Frame, gemm, pointwise, weight_gradient
from sim.workload.records import Layer, Numerics, Parameter, Recompute, Shard
from sim.workload.rules import check_positive
from sim.workload.vocabulary import by_policy

CRITEO_40M: Final[tuple[int, ...]] = (
    39884406, 39043, 17289, 7420, 20263, 3, 7120, 1543, 63, 38532951, 2953546, 403346, 10,
    2208, 11938, 155, 4, 976, 14, 39979771, 25641295, 39664984, 585935, 12972, 108, 36,
)  # fmt: skip
"""Rows per table of MLPerf Training v0.7 to v2.1: Criteo 1TB with indices below 40M."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlrm:
    """A DLRM with its sizes."""

    padded: ClassVar[bool] = False

    name: str = field(metadata=about("name of the model"), default="dlrm")
    tables: tuple[int, ...] = field(
        metadata=about("rows of each embedding table; by default MLPerf's", "rows"), default=CRITEO_40M
    )
    width: int = field(metadata=about("elements of an embedding row", "elements"), default=128)
    pooling: tuple[int, ...] = field(metadata=about("rows summed per table; empty: one each", "rows"), default=())
    dense_features: int = field(metadata=about("continuous inputs", "elements"), default=13)
    bottom: tuple[int, ...] = field(metadata=about("layers of the bottom MLP", "elements"), default=(512, 256, 128))
    top: tuple[int, ...] = field(metadata=about("layers of the top MLP"), default=(1024, 1024, 512, 256, 1))
    interaction: Literal["dot", "cross"] = field(metadata=about("feature interaction: dots, or DCN-v2"), default="dot")
    cross_layers: int = field(metadata=about("layers of the cross network", "layers"), default=3)
    cross_rank: int = field(metadata=about("rank of its products", "elements"), default=512)
    table_format: Literal["fp32", "fp16", "bf16"] = field(metadata=about("stored format of the tables"), default="fp32")

    def __post_init__(self) -> None:
        check_positive(self, ("width", "dense_features"))
        problems = []
        if not self.tables or min(self.tables) < 1:
            problems.append(Problem("needs at least one table, each of at least one row", "tables", str(self.tables)))
        if self.pooling and len(self.pooling) != len(self.tables):
            problems.append(Problem(f"needs one entry per table ({len(self.tables)})", "pooling", str(self.pooling)))
        if not self.bottom or self.bottom[-1] != self.width:
            problems.append(Problem(f"must end in width = {self.width}", "bottom", str(self.bottom)))
        if problems:
            raise InputError(*problems)

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
        f = Frame(numerics, sub_batch, 1, expert=shard.expert)
        bottom, top = self.mlp_sizes()
        below = mlp_layer(f, "bottom", bottom, first=True)
        above = mlp_layer(f, "top", top, first=False)
        crossing, back = self.interact(f)
        kept = above.saved_bytes[Recompute.NONE] + f.tokens * self.features * self.width * f.act * self.kept_vectors
        head = Layer(
            "interaction and top",
            1,
            "head",
            (*crossing, *above.forward),
            (*above.backward, *back),
            (*above.parameters, *((Parameter("cross", self.cross_elements),) if self.cross_elements else ())),
            by_policy(kept),
            workspace_bytes=above.workspace_bytes,
        )
        return (self.table_layer(f), below, head)

    @classmethod
    def sized(cls, parameters: float, **fixed: Any) -> Dlrm:
        """The DLRM of about `parameters`: all tables grow or shrink together (MLPerf's when none are given)."""
        shape = fixed.pop("tables", CRITEO_40M)
        given = cls(**{**fixed, "tables": shape})
        factor = max(0.0, parameters - given.parameters + given.table_elements) / given.table_elements
        return cls(**{**fixed, "tables": tuple(max(1, round(rows * factor)) for rows in shape)})

    @property
    def kept_vectors(self) -> int:
        """Copies of the interacting vectors kept: the input, or the input of every cross layer and product."""
        return 1 if self.interaction == "dot" else 1 + 2 * self.cross_layers

    def _check(self, sub_batch: int, shard: Shard) -> None:
        found = []
        for axis in ("tensor", "context"):
            if getattr(shard, axis) > 1:
                hint = "use data parallelism, and expert to split the tables"
                found.append(Problem(f"DLRM has no {axis} parallelism", axis, str(getattr(shard, axis)), hint=hint))
        if sub_batch < 1:
            found.append(Problem("must be at least 1", "sub_batch", str(sub_batch)))
        if found:
            raise InputError(*found)

    def table_layer(self, f: Frame) -> Layer:
        """Lookup and pooling of this rank's tables for its group, and the exchange of pooled vectors."""
        size, rows = BYTES_PER_ELEMENT[self.table_format], f.sub_batch * self.lookups
        table = self.table_elements / f.expert
        pooled = f.sub_batch * len(self.tables) * self.width
        kind = self.table_format
        moved: list[Op] = []
        if f.expert > 1:
            moved = [Collective("tables.exchange", "all_to_all", pooled * f.act, "expert", f.numerics.activations)]
        lookup = Gather("tables.lookup", rows, self.width * size, table * size, False, kind)
        scatter = Gather("tables.scatter", rows, self.width * size, table * size, True, kind)
        axis: Literal["data", "expert"] = "expert" if f.expert > 1 else "data"
        held = Parameter("tables", table, axis, rows, self.width)
        kept = by_policy(rows * 8.0)  # the indices, 64 bit
        return Layer("tables", 1, "embedding", (lookup, *moved), (*moved, scatter), (held,), kept, {}, pooled * f.act)

    def interact(self, f: Frame) -> tuple[list[Op], list[Op]]:
        """Pairwise dots of all vectors of a sample, or the low-rank cross network."""
        n, d, b = self.features, self.width, f.tokens
        vectors = b * n * d
        if self.interaction == "dot":
            out = b * self.interaction_width
            forward: list[Op] = [pointwise(f, "interaction.stack", vectors, f.act, f.act, 0.0)]
            forward += [gemm(f, "interaction", n, n, d, b), pointwise(f, "interaction.pick", out, f.act, f.act, 0.0)]
            back: list[Op] = [pointwise(f, "interaction.pick.backward", b * n * n, f.act, f.act, 0.0)]
            twice = Gemm("interaction.grad", n, d, n, b, f.numerics.compute, f.numerics.activations, count=2)
            return forward, [*back, twice, pointwise(f, "interaction.stack.backward", vectors, 2 * f.act, f.act)]
        forward, back = [pointwise(f, "interaction.stack", vectors, f.act, f.act, 0.0)], []
        width, rank = self.interaction_width, self.cross_rank
        for _ in range(self.cross_layers):
            forward += [gemm(f, "cross.down", b, rank, width), gemm(f, "cross.up", b, width, rank)]
            forward.append(pointwise(f, "cross.product", vectors, 3 * f.act, f.act, 2.0))
            back.append(pointwise(f, "cross.product.backward", vectors, 4 * f.act, 2 * f.act, 3.0))
            back += [gemm(f, "cross.up.dgrad", b, rank, width), weight_gradient(f, "cross.up.wgrad", width, rank, b)]
            back += [gemm(f, "cross.down.dgrad", b, width, rank)]
            back.append(weight_gradient(f, "cross.down.wgrad", rank, width, b))
        return forward, back


def mlp_layer(f: Frame, name: str, sizes: list[tuple[int, int]], first: bool) -> Layer:
    """Linear layers with bias and activation; the first layer of a model needs no data gradient."""
    forward: list[Op] = []
    backward: list[Op] = []
    for i, (k, n) in enumerate(sizes):
        label, elements = f"{name}.{i}", f.tokens * n
        forward.append(gemm(f, label, f.tokens, n, k))
        if not f.numerics.fused:
            forward.append(pointwise(f, f"{label}.bias", elements, f.act, f.act))
        forward.append(pointwise(f, f"{label}.activation", elements, f.act, f.act))
        grads: list[Op] = [] if first and i == 0 else [gemm(f, f"{label}.dgrad", f.tokens, k, n)]
        back = pointwise(f, f"{label}.activation.backward", elements, 2 * f.act, f.act)
        backward[:0] = [back, *grads, weight_gradient(f, f"{label}.wgrad", n, k, f.tokens)]
    kept = f.tokens * (sum(n for _, n in sizes) + sizes[0][0]) * f.act
    weights = float(sum(k * n + n for k, n in sizes))
    return Layer(
        name,
        1,
        "block",
        tuple(forward),
        tuple(backward),
        (Parameter(name, weights),),
        by_policy(kept),
        {Recompute.NONE: (), Recompute.SELECTIVE: (), Recompute.FULL: ()},
        f.tokens * sizes[-1][1] * f.act,
        2.0 * f.tokens * max(n for _, n in sizes) * f.act,
    )
