"""Minimal memory of a step: what must be alive at every op, in execution order.

Weights and optimiser state are always alive.  A tensor is alive from the op that makes it to the last op that reads it;
a sequence made or used up by a loop grows or shrinks by one slice per iteration, so the live bytes at an op of
a loop are linear in the iteration and the peak lies in the first or the last one.

Two things frameworks decide are arguments:
- `reuse`: an elementwise op may write over an input that dies with it (and a sum over its old value).  Without it
  inputs and outputs of the running op exist side by side, as the algorithmic footprint of the paper has it (§2.1).
- `held`: of how many earlier layers the weight gradients still exist while a layer runs backward.  None: of all, as
  clipping by the global norm needs; 0: every layer is updated as soon as its gradient is complete; 1: one layer's
  gradient is still being reduced between devices while the next is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from sim.ops import BYTES_PER_ELEMENT
from sim.records import dataclass
from sim.workload.graph import Graph, Node, Section, Tensor
from sim.workload.records import Numerics
from sim.workload.update import MOMENTS


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes alive at the fullest moment, by kind; `at` names the op."""

    weights: float
    optimizer: float  # optimiser state and master copy
    gradients: float
    activations: float
    workspace: float  # results written beside the values they replace
    at: str = ""

    @property
    def total(self) -> float:
        """All kinds."""
        return self.weights + self.optimizer + self.gradients + self.activations + self.workspace


@dataclass(frozen=True, slots=True)
class _Span:
    """From (section, node) to (section, node), both inclusive; `carried`: read in the iteration before it is made."""

    tensor: Tensor
    first: tuple[int, int]
    last: tuple[int, int]
    carried: bool


def peak(graph: Graph, numerics: Numerics, *, reuse: bool = False, held: int | None = None) -> Footprint:
    """The fullest moment of a step of `graph`."""
    elements = sum(w.tensor.elements for ws in graph.weights.values() for w in ws)
    weights = elements * BYTES_PER_ELEMENT[numerics.weights]
    spans = _spans(graph, held)
    best = Footprint(weights, optimizer_bytes(elements, numerics), 0.0, 0.0, 0.0)
    top = best
    for index, (section, here) in enumerate(_sections(graph, spans)):
        for iteration in {1, section.steps}:
            for gradients, activations, workspace, node in _live(section, index, iteration, here, reuse):
                if gradients + activations + workspace > top.total - best.total:
                    top = Footprint(weights, best.optimizer, gradients, activations, workspace, node.op.name)
    return top


def optimizer_bytes(elements: float, numerics: Numerics) -> float:
    """Optimiser moments and the master copy of `elements` weights."""
    state = MOMENTS[numerics.optimizer] * BYTES_PER_ELEMENT[numerics.optimizer_format]
    master = BYTES_PER_ELEMENT[numerics.master] if numerics.master else 0.0
    return elements * (state + master)


def saved_tensors(graph: Graph) -> dict[str, list[Tensor]]:
    """By layer: activations of the forward pass that its backward pass, and that of no earlier layer, reads."""
    order = [name for name, _ in graph.layers]
    place = {name: rank for rank, name in enumerate(order)}
    made = {t for s in graph.forward for n in s.nodes for t in n.outputs}
    made |= {t for s in graph.forward for t in s.inputs}
    first: dict[Tensor, int] = {}
    for section in graph.backward:
        rank = place[section.layer]
        for node in section.nodes:
            for tensor in node.inputs:
                if tensor in made and tensor.kind == "activation":
                    first[tensor] = min(rank, first.get(tensor, rank))
    saved: dict[str, list[Tensor]] = {name: [] for name in order}
    for tensor, rank in first.items():
        saved[order[rank]].append(tensor)
    return saved


def workspaces(graph: Graph) -> dict[str, float]:
    """By layer: what is alive at its fullest moment, forward or backward, beyond what it and the layers before it keep
    for backward: gradients on their way, products of a step, sums.

    So that the fullest moment of a step is the largest of Σ (kept by this layer and those before it) + workspace.
    Gradients of weights that outlive their op are not counted: how long they live is the plan's to say.
    """
    kept = {name: sum(t.total_bytes for t in tensors) for name, tensors in saved_tensors(graph).items()}
    order = [name for name, _ in graph.layers]
    before = dict(zip(order, accumulate(kept[name] for name in order), strict=True))
    final = {t for tensors in graph.gradients.values() for t in tensors}
    spans = [span for span in _spans(graph, None) if span.tensor not in final]
    top = dict.fromkeys(order, 0.0)
    for index, (section, here) in enumerate(_sections(graph, spans)):
        for iteration in {1, section.steps}:
            live = max((g + a + w for g, a, w, _ in _live(section, index, iteration, here, True)), default=0.0)
            top[section.layer] = max(top[section.layer], live - before[section.layer])
    return top


def _spans(graph: Graph, held: int | None) -> list[_Span]:
    first: dict[Tensor, tuple[int, int]] = {}
    last: dict[Tensor, tuple[int, int]] = {}
    carried: set[Tensor] = set()
    for i, section in enumerate(graph.sections):
        for j, node in enumerate(section.nodes):
            for tensor in node.inputs:
                if tensor.kind != "weight":
                    if tensor not in first:
                        first[tensor] = (i, j)
                        carried.add(tensor)
                    last[tensor] = (i, j)
            for tensor in node.outputs:
                first.setdefault(tensor, (i, j))
                last[tensor] = max(last.get(tensor, (i, j)), (i, j))
    for tensor, until in _gradient_ends(graph, held):
        last[tensor] = max(last[tensor], until)
    return [_Span(t, first[t], last[t], t in carried) for t in first]


def _gradient_ends(graph: Graph, held: int | None) -> Iterable[tuple[Tensor, tuple[int, int]]]:
    """Until when every weight gradient exists."""
    sections = graph.sections
    end = {s.layer: i for i, s in enumerate(sections) if i >= len(graph.forward)}
    order = sorted(end, key=end.__getitem__)
    for layer, gradients in graph.gradients.items():
        rank = order.index(layer) + held if held is not None else len(order)
        section = end[order[rank]] if rank < len(order) else len(sections) - 1
        for tensor in gradients:
            yield tensor, (section, len(sections[section].nodes) - 1)


class _Here(NamedTuple):
    """Of a section: the tensors made or used up in it, and the bytes of those that outlive it on both sides."""

    spans: list[_Span]
    gradients: float
    activations: float


def _sections(graph: Graph, spans: list[_Span]) -> Iterator[tuple[Section, _Here]]:
    """Every section with what is alive in it."""
    sections = graph.sections
    local: list[list[_Span]] = [[] for _ in sections]
    passing = {"gradient": [0.0] * (len(sections) + 1), "activation": [0.0] * (len(sections) + 1)}
    for span in spans:
        first, last = span.first[0], span.last[0]
        for index in {first, last}:
            local[index].append(span)
        if last > first + 1:
            row = passing["gradient" if span.tensor.kind == "gradient" else "activation"]
            row[first + 1] += span.tensor.total_bytes
            row[last] -= span.tensor.total_bytes
    gradients, activations = (accumulate(passing[kind]) for kind in ("gradient", "activation"))
    for section, here, g, a in zip(sections, local, gradients, activations, strict=False):
        yield section, _Here(here, g, a)


def _live(
    section: Section, index: int, iteration: int, here: _Here, reuse: bool
) -> Iterable[tuple[float, float, float, Node]]:
    """(gradients, activations, workspace, node) for every node of `section` in one iteration."""
    n = len(section.nodes)
    delta = {"gradient": [0.0] * (n + 1), "activation": [0.0] * (n + 1)}
    dies: dict[int, set[Tensor]] = {}
    for span in here.spans:
        row = delta["gradient" if span.tensor.kind == "gradient" else "activation"]
        for low, high, size in _pieces(span, section, index, iteration, n):
            row[low] += size
            row[high + 1] -= size
        if span.last[0] == index:
            dies.setdefault(span.last[1], set()).add(span.tensor)
    gradients, activations = here.gradients, here.activations
    for j, node in enumerate(section.nodes):
        gradients += delta["gradient"][j]
        activations += delta["activation"][j]
        spare = 0.0
        if node.elementwise:
            if reuse:
                dying = sum(t.bytes for t in node.inputs if t in dies.get(j, ()) and t not in node.outputs)
                spare = -min(dying, sum(t.bytes for t in node.outputs if t not in node.inputs))
            else:
                spare = sum(t.bytes for t in node.outputs if t in node.inputs)
        yield gradients, activations, spare, node


def _pieces(span: _Span, section: Section, index: int, iteration: int, n: int) -> Iterable[tuple[int, int, float]]:
    """(first node, last node, bytes) of a tensor while `section` runs its `iteration`-th time."""
    tensor, steps = span.tensor, section.steps
    made, used_up = span.first[0] == index, span.last[0] == index
    start = span.first[1] if made and not span.carried else 0
    stop = span.last[1] if used_up and not (made and span.carried) else n - 1
    if tensor.steps == 1 or steps == 1 or not (made or used_up):
        yield start, stop, tensor.total_bytes
        return
    piece = tensor.total_bytes / steps
    yield start, stop, piece
    if made != used_up:
        yield 0, n - 1, piece * (iteration - 1 if made else steps - iteration)
