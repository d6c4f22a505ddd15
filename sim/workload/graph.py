"""An op graph: ops with the tensors they read and write, in execution order, loops folded.

A `Section` is a straight run of nodes executed `steps` times, such as one layer over q unrolled time steps.
Its nodes stand once, with `count = steps` in their op.  A `Tensor` with `steps > 1` is a sequence: one slice per
iteration.  Everything linear in the iteration is therefore known from the first and the last one, which is all that
liveness needs (sim/workload/liveness.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, replace
from typing import Literal

from sim.ops import Op, Pointwise
from sim.records import dataclass

TensorKind = Literal["weight", "gradient", "activation"]
LayerKind = Literal["embedding", "block", "head"]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """`elements` of one slice and `bytes` of one slice; `steps` slices; compared by identity."""

    name: str
    elements: float
    bytes: float
    steps: int = 1
    kind: TensorKind = "activation"
    differentiable: bool = True
    sparse: bool = False  # an embedding gradient: rows instead of the table
    core: bool = False  # of attention: what selective recomputation does not keep

    @property
    def total_bytes(self) -> float:
        """All slices."""
        return self.bytes * self.steps


@dataclass(frozen=True, slots=True, eq=False)
class Weight:
    """A parameter tensor with the tensor that holds it; `sparse_rows` > 0: its gradient is only so many rows."""

    name: str
    tensor: Tensor
    rows: int
    columns: int
    sparse_rows: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One op with what it reads and writes."""

    op: Op
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    reduction: bool = False  # needs all of its input before the next op can start
    core: bool = False  # of attention: what selective recomputation runs again

    @property
    def elementwise(self) -> bool:
        """Whether the op may be fused with its neighbours and may write over an input that dies."""
        return isinstance(self.op, Pointwise) and not self.reduction


@dataclass(slots=True, eq=False)
class Section:
    """Nodes executed `steps` times, part of layer `layer`."""

    layer: str
    kind: LayerKind
    steps: int = 1
    nodes: list[Node] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)  # received from the layer before, where that is another graph


@dataclass(frozen=True, slots=True, eq=False)
class Dataflow:
    """Forward nodes of one block, and what of their results (and of what it received) its backward pass reads."""

    nodes: tuple[Node, ...]
    read: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """One training step: forward sections, backward sections in the order they run, and the weights by layer."""

    forward: tuple[Section, ...]
    backward: tuple[Section, ...]
    weights: dict[str, tuple[Weight, ...]]
    gradients: dict[str, tuple[Tensor, ...]]  # by layer: what the optimiser reads

    @property
    def sections(self) -> tuple[Section, ...]:
        """Execution order."""
        return self.forward + self.backward

    @property
    def layers(self) -> tuple[tuple[str, LayerKind], ...]:
        """Layer names in forward order."""
        return tuple(dict.fromkeys((s.layer, s.kind) for s in self.forward))


def readers(sections: Iterable[Section]) -> dict[Tensor, set[Section]]:
    """For every tensor the sections whose nodes read it."""
    found: dict[Tensor, set[Section]] = {}
    for section in sections:
        for node in section.nodes:
            for tensor in node.inputs:
                found.setdefault(tensor, set()).add(section)
    return found


def fuse(graph: Graph) -> Graph:
    """Merge every run of neighbouring elementwise ops of a section into one pass.

    The merged op reads what comes from outside the run and writes what is read outside of it;
    FLOPs add up, tensors that live only inside the run are never stored.
    """
    uses = readers(graph.sections)
    kept = {g for layer in graph.gradients.values() for g in layer}
    return replace(
        graph,
        forward=tuple(_fused_section(s, uses, kept) for s in graph.forward),
        backward=tuple(_fused_section(s, uses, kept) for s in graph.backward),
    )


def _fused_section(section: Section, uses: dict[Tensor, set[Section]], kept: set[Tensor]) -> Section:
    runs: list[list[Node]] = []
    for node in section.nodes:
        if runs and node.elementwise and runs[-1][-1].elementwise:
            runs[-1].append(node)
        else:
            runs.append([node])
    nodes = [run[0] if len(run) == 1 else _merge(run, section, uses, kept) for run in runs]
    return Section(section.layer, section.kind, section.steps, nodes)


def _merge(run: list[Node], section: Section, uses: dict[Tensor, set[Section]], kept: set[Tensor]) -> Node:
    made: set[Tensor] = set()
    inputs: dict[Tensor, None] = {}
    for node in run:
        inputs.update(dict.fromkeys(t for t in node.inputs if t not in made))
        made.update(node.outputs)
    others = {t for node in section.nodes if node not in run for t in node.inputs}
    outputs = [
        t
        for node in run
        for t in node.outputs
        if t in kept or t in others or t in inputs or uses.get(t, set()) - {section} or not uses.get(t)
    ]
    ops = [node.op for node in run]
    flops = sum(op.flops * op.count for op in ops) / section.steps
    elements = max(op.elements for op in ops if isinstance(op, Pointwise))
    op = Pointwise(
        name=f"fused {ops[0].name}",
        elements=elements,
        reads=sum(t.bytes * _slices(t, section) for t in inputs),
        writes=sum(t.bytes * _slices(t, section) for t in outputs),
        flops_per_element=flops / elements,
        format=ops[0].format,
        count=section.steps,
        stored=all(isinstance(op, Pointwise) and op.stored for op in ops),
    )
    return Node(op, tuple(inputs), tuple(outputs))


def _slices(tensor: Tensor, section: Section) -> float:
    """How many slices of `tensor` one iteration of `section` touches."""
    return max(1.0, tensor.steps / section.steps)
