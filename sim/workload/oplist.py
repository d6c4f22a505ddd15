"""A plain list of ops as a workload: what one sample asks for forward; backward follows from each op.

    ops:
      - {kind: gemm, name: hidden, m: 1, n: 4096, k: 1024}
      - {kind: pointwise, name: relu, elements: 4096, reads: 8192, writes: 8192}

Backward: a matrix product or convolution gives a data and a weight gradient, attention its own backward, a gather
a scatter, anything else twice its work.  A sub-batch b makes b·m rows of a product with weights, b images, b rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, fields, replace
from typing import Any, ClassVar, Final, Self, cast

from sim.errors import InputError, Problem
from sim.fields import Record, about
from sim.ops import BYTES_PER_ELEMENT, Attention, Convolution, Gather, Gemm, Lump, Op, Pointwise, total_flops
from sim.records import dataclass
from sim.workload.records import Layer, Numerics, Parameter, Recompute, Shard
from sim.workload.sizing import unsharded

KINDS: Final[dict[str, Callable[..., Op]]] = {
    "gemm": Gemm,
    "convolution": Convolution,
    "attention": Attention,
    "gather": Gather,
    "pointwise": Pointwise,
    "lump": Lump,
}


@dataclass(frozen=True, slots=True)
class OpList(Record):
    """Ops of one sample's forward pass, given as mappings with `kind` and the fields of that op."""

    padded: ClassVar[bool] = False

    ops: tuple[Mapping[str, object], ...] = field(default=(), metadata=about("ops of one sample, forward"))
    units: float = field(default=1.0, metadata=about("units of one sample", gt=0))

    def contradictions(self) -> Iterator[Problem]:
        try:
            self.forward_ops(1)
        except InputError as error:
            yield from error.problems

    @property
    def name(self) -> str:
        """How many ops."""
        return f"{len(self.ops)} ops"

    @property
    def parameters(self) -> float:
        """Second operands of unbatched products, convolution kernels, gathered tables."""
        return sum(map(_weights, self.forward_ops(1)))

    @property
    def active_parameters(self) -> float:
        """All."""
        return self.parameters

    @property
    def units_per_sample(self) -> float:
        """As given."""
        return self.units

    @classmethod
    def sized(cls, parameters: float, **fixed: Any) -> Self:
        """A list of ops has no free width."""
        raise InputError(Problem("a list of ops cannot be sized", "parameters", str(parameters), hint="give a family"))

    def forward_ops(self, sub_batch: int, numerics: Numerics | None = None) -> tuple[Op, ...]:
        """The ops for a sub-batch; their format is the numerics' unless one is given."""
        problems: list[Problem] = []
        made = [_read(i, entry, numerics, problems) for i, entry in enumerate(self.ops)]
        if problems:
            raise InputError(*problems)
        return tuple(_batched(op, sub_batch) for op in made if op is not None)

    def flops_per_sample(self) -> tuple[float, float]:
        """Forward and training FLOPs of one sample."""
        (layer,) = self.layers(1, Numerics())
        forward = total_flops(layer.forward)
        return forward, forward + total_flops(layer.backward)

    def layers(self, sub_batch: int, numerics: Numerics, shard: Shard = Shard()) -> tuple[Layer, ...]:
        """One layer; what every op writes is kept for backward."""
        unsharded("ops", shard)
        forward = self.forward_ops(sub_batch, numerics)
        saved = sum(op.bytes_written * op.count for op in forward)
        parameters = tuple(Parameter(op.name, _weights(op)) for op in forward if _weights(op))
        return (
            Layer(
                name="ops",
                count=1,
                kind="block",
                forward=forward,
                backward=tuple(b for op in reversed(forward) for b in _backward(op)),
                parameters=parameters,
                saved_bytes={Recompute.NONE: saved, Recompute.SELECTIVE: saved, Recompute.FULL: 0.0},
                recompute={Recompute.NONE: (), Recompute.SELECTIVE: (), Recompute.FULL: forward},
            ),
        )


def _read(index: int, entry: Mapping[str, object], numerics: Numerics | None, problems: list[Problem]) -> Op | None:
    kind = str(entry.get("kind", ""))
    maker = KINDS.get(kind)
    if maker is None:
        hint = f"one of {', '.join(KINDS)}"
        problems.append(Problem("unknown kind of op", f"ops[{index}].kind", repr(kind), hint=hint))
        return None
    values: dict[str, Any] = {"name": f"{kind} {index}", **{k: v for k, v in entry.items() if k != "kind"}}
    if numerics is not None:
        values.setdefault("format", numerics.activations if kind in ("pointwise", "gather") else numerics.compute)
    known = [f.name for f in fields(cast(Any, maker))]
    wrong = sorted(set(values) - set(known))
    if wrong:
        problems.append(Problem(f"a {kind} has no such field", f"ops[{index}]", ", ".join(wrong)))
        return None
    bad = [k for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool) and not v >= 0]
    if bad:
        problems.append(Problem("must not be negative", f"ops[{index}].{bad[0]}", str(values[bad[0]])))
        return None
    try:
        return maker(**values)
    except TypeError as error:
        problems.append(Problem(f"{kind} needs {str(error).partition('argument')[2].lstrip('s: ')}", f"ops[{index}]"))
        return None


def _batched(op: Op, b: int) -> Op:
    if isinstance(op, Gemm):
        return replace(op, m=op.m * b) if op.batch == 1 else replace(op, batch=op.batch * b)
    if isinstance(op, Convolution):
        return replace(op, n=op.n * b)
    if isinstance(op, Attention):
        return replace(op, batch=op.batch * b)
    if isinstance(op, Gather):
        return replace(op, rows=op.rows * b)
    if isinstance(op, Pointwise):
        return replace(op, elements=op.elements * b, reads=op.reads * b, writes=op.writes * b)
    if isinstance(op, Lump):
        return replace(op, flops=op.flops * b, bytes_read=op.bytes_read * b, bytes_written=op.bytes_written * b)
    return op


def _backward(op: Op) -> Sequence[Op]:
    if isinstance(op, Gemm):
        data = replace(op, name=f"{op.name} data gradient", n=op.k, k=op.n)
        return data, replace(op, name=f"{op.name} weight gradient", m=op.k, k=op.m, transposed=op.batch == 1)
    if isinstance(op, Convolution):
        data_gradient = replace(op, name=f"{op.name} data gradient", direction="data")
        return data_gradient, replace(op, name=f"{op.name} weight gradient", direction="weight")
    if isinstance(op, Attention):
        return (replace(op, name=f"{op.name} gradient", backward=True),)
    if isinstance(op, Gather):
        return (replace(op, name=f"{op.name} gradient", scatter=True),)
    return (replace(op, name=f"{op.name} gradient", count=2 * op.count),)


def _weights(op: Op) -> float:
    if isinstance(op, Gemm) and op.batch == 1:
        return float(op.n * op.k)
    if isinstance(op, Convolution):
        return op.weight_bytes / BYTES_PER_ELEMENT[op.format]
    if isinstance(op, Gather):
        return op.table_bytes / BYTES_PER_ELEMENT[op.format]
    return 0.0
