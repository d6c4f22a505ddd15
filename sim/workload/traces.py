"""Between Chakra traces and ops: a trace as a workload, and a model's step as a trace.

A trace does not know its shapes, so computation becomes a `Lump` (or a replayed duration).  `comm_size` counts as
Chakra does: an all-gather's input shard, where `Collective.bytes` is its output.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, ClassVar, Final, cast, get_args

from sim.errors import InputError, Problem
from sim.fields import Record, about, size
from sim.ops import BYTES_PER_ELEMENT, Axis, Collective, CollectiveKind, Format, Lump, Op, total_bytes, total_flops
from sim.records import dataclass
from sim.workload.chakra import Node, Trace, in_order, read_trace
from sim.workload.records import Layer, Numerics, Parameter, Recompute, Shard

AXES: Final = get_args(Axis)
COMM_TYPES: Final[tuple[CollectiveKind, ...]] = (
    "all_reduce", "reduce", "all_gather", "all_gather", "broadcast", "broadcast", "all_to_all", "reduce_scatter",
    "reduce_scatter", "barrier",
)  # fmt: skip
"""Chakra's CollectiveCommType by number; gather and scatter are priced as all-gather and broadcast."""
NUMBERS: Final[Mapping[CollectiveKind, int]] = {
    "all_reduce": 0, "reduce": 1, "all_gather": 2, "broadcast": 5, "all_to_all": 6, "reduce_scatter": 7, "barrier": 9,
}  # fmt: skip


TYPES: Final[tuple[tuple[str, Format], ...]] = (
    ("quint4", "int4"), ("float4", "fp4"), ("float6", "mxfp6"), ("float8", "fp8"),
    ("bfloat16", "bf16"), ("half", "fp16"), ("float16", "fp16"),
    ("double", "fp64"), ("float64", "fp64"), ("float", "fp32"), ("char", "int8"), ("int8", "int8"),
)  # fmt: skip
"""How frameworks write the types of tensors: `Tensor(c10::BFloat16)`, `Tensor(float)`, `bfloat16` …
(of block-scaled ones the elements alone)"""


WRITTEN: Final[Mapping[Format, str]] = {
    "fp64": "double", "fp32": "float", "tf32": "float", "bf16": "c10::BFloat16", "fp16": "c10::Half",
    "fp8": "c10::Float8_e4m3fn", "int8": "signed char", "fp4": "c10::Float4_e2m1fn_x2", "int4": "c10::quint4x2",
    "mxfp8": "c10::Float8_e4m3fn", "mxfp6": "c10::Float6_e3m2fn", "mxfp4": "c10::Float4_e2m1fn_x2",
    "nvfp4": "c10::Float4_e2m1fn_x2",
}  # fmt: skip


def format_of(node: Node, otherwise: Format) -> Format:
    """The narrowest number format among what the node reads, `otherwise` where the trace names none."""
    named = [text.strip() for text in node.types.lower().replace("[", ",").split(",")]
    found = [next((fmt for key, fmt in TYPES if key in text), None) for text in named]
    return min((fmt for fmt in found if fmt), key=BYTES_PER_ELEMENT.__getitem__, default=otherwise)


def ops_of(trace: Trace, ranks: int = 1, file: str = "", numerics: Numerics = Numerics()) -> tuple[Op, ...]:
    """The ops of a trace in dependency order; `ranks` turn an all-gather's shard into its result.

    Computation runs in the types the trace names, or in those of `numerics`.
    """
    found = [_op(node, ranks, file, numerics) for node in in_order(trace, file)]
    return tuple(op for op in found if op is not None)


def _op(node: Node, ranks: int, file: str, numerics: Numerics) -> Op | None:
    label = node.name or f"node {node.id}"
    if node.kind == "comm_coll":
        number = int(_figure(node, "comm_type"))
        if not 0 <= number < len(COMM_TYPES):
            rule = f"has comm_type {number}, which the schema does not know (byte {node.offset})"
            raise InputError(Problem(rule, f"node {node.id}", file=file))
        kind = COMM_TYPES[number]
        size = _figure(node, "comm_size") * (ranks if kind == "all_gather" else 1)
        return Collective(label, kind, size, _axis(node, "data"))
    if node.kind == "comm_send":
        return Collective(label, "send", _figure(node, "comm_size"), _axis(node, "pipeline"))
    if node.kind in ("comp", "mem_load", "mem_store"):
        moved = _figure(node, "tensor_size")
        written = node.kind == "mem_store"
        duration = node.duration_us * 1e-6 if node.duration_us else None
        types = format_of(node, numerics.compute)
        read, wrote = (0.0, moved) if written else (moved, 0.0)
        return Lump(label, _figure(node, "num_ops"), read, wrote, duration, types)
    return None  # metadata; a receive waits for its send


def _figure(node: Node, name: str) -> float:
    value = node.attributes.get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0


def _axis(node: Node, otherwise: Axis) -> Axis:
    value = node.attributes.get("axis", otherwise)
    return cast(Axis, value) if value in AXES else otherwise


def trace_of(layers: Iterable[Layer], ranks: Mapping[str, int] | None = None) -> Trace:
    """One step of `layers` as a trace: forward, then backward, each op after the one before it.

    An overlapped collective hangs off the op before it and is awaited by the op after next.
    """
    layers = tuple(layers)
    ahead = [(layer.name, op) for layer in layers for _ in range(layer.count) for op in layer.forward]
    back = [(layer.name, op) for layer in reversed(layers) for _ in range(layer.count) for op in layer.backward]
    nodes: list[Node] = []
    last: int | None = None  # the op that the next one waits for
    beside: list[int] = []  # overlapped collectives still awaited
    for number, (layer, op) in enumerate((*ahead, *back), start=1):
        before = () if last is None else (last,)
        aside = isinstance(op, Collective) and op.overlap
        waits = before if aside or len(beside) == 0 or beside[-1] == number - 1 else (*before, *beside)
        if waits is not before:
            beside = []
        types = f"Tensor({WRITTEN[op.format]})" if _kind(op) == "comp" else ""
        attributes = _attributes(op, ranks or {})
        nodes.append(Node(number, f"{layer}: {op.name}", _kind(op), data=waits, attributes=attributes, types=types))
        if aside:
            beside.append(number)
        else:
            last = number
    return Trace(tuple(nodes))


def _kind(op: Op) -> str:
    if isinstance(op, Collective):
        return "comm_send" if op.kind == "send" else "comm_coll"
    return "comp"


def _attributes(op: Op, ranks: Mapping[str, int]) -> dict[str, bool | int | str]:
    if not isinstance(op, Collective):
        flops, moved = round(total_flops((op,))), round(total_bytes((op,)))
        return {"is_cpu_op": False, "num_ops": flops, "tensor_size": moved}
    share = ranks.get(op.axis, 1) if op.kind == "all_gather" else 1
    size = round(op.bytes * op.count / share)
    group: dict[str, bool | int | str] = {"is_cpu_op": False, "comm_size": size, "axis": op.axis}
    group["pg_name"] = str(AXES.index(op.axis))
    if op.kind != "send":
        group["comm_type"] = NUMBERS[op.kind]
    return group


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceModel(Record):
    """A recorded trace as a model: one pass of the trace is one sub-batch, whatever it held."""

    padded: ClassVar[bool] = False

    path: str = field(metadata=about("Chakra trace (.et) of one rank"))
    name: str = field(metadata=about("name of the model"), default="trace")
    samples: int = field(metadata=size("samples one pass of the trace processes", "samples"), default=1)
    units: float = field(metadata=about("units in a sample", "units", gt=0), default=1.0)
    weights: float = field(metadata=about("trainable parameters, which a trace does not tell", ge=0), default=0.0)
    ranks: int = field(metadata=size("ranks in an all-gather, which a trace does not tell"), default=1)

    @classmethod
    def sized(cls, parameters: float, **fixed: Any) -> TraceModel:
        """A trace has the size it was recorded with; `parameters` is only noted."""
        return cls(**{**fixed, "weights": parameters})

    @property
    def parameters(self) -> float:
        return self.weights

    @property
    def active_parameters(self) -> float:
        return self.weights

    @property
    def units_per_sample(self) -> float:
        return self.units

    def ops(self, numerics: Numerics = Numerics()) -> tuple[Op, ...]:
        """The recorded ops, in dependency order."""
        return ops_of(read_trace(Path(self.path)), self.ranks, self.path, numerics)

    def flops_per_sample(self) -> tuple[float, float]:
        """The trace does not tell forward from backward: a third is taken as forward."""
        flops = total_flops(self.ops()) / self.samples
        return flops / 3.0, flops

    def layers(self, sub_batch: int, numerics: Numerics, shard: Shard = Shard()) -> tuple[Layer, ...]:
        """One block with all ops; the sub-batch is that of the recording."""
        if sub_batch != self.samples:
            hint = f"use {self.samples}, or set samples"
            raise InputError(Problem("must be that of the trace", "sub_batch", str(sub_batch), hint=hint))
        held = (Parameter("weights", self.weights),) if self.weights else ()
        return (Layer("trace", 1, "block", self.ops(numerics), (), held, {Recompute.NONE: 0.0}),)
