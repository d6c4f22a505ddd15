"""From a recorded graph to the `Layer`s a plan works with; FLOPs of a sample, bytes at the fullest moment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar, Self

from sim.fields import Record
from sim.ops import Op, total_flops
from sim.workload.graph import Dataflow, Graph, Section, Tensor, Weight
from sim.workload.liveness import Footprint, peak, saved_tensors, workspaces
from sim.workload.recorder import Recorder
from sim.workload.records import AttentionKernel, Layer, Numerics, OptimizerName, Parameter, Recompute, Shard
from sim.workload.sizing import solve_width, unsharded

PLAIN_FP32 = Numerics(
    compute="fp32", activations="fp32", weights="fp32", gradients="fp32", master=None,
    optimizer=OptimizerName.SGD, optimizer_format="fp32", fused=False, attention=AttentionKernel.PLAIN, shape_ops=True,
)  # fmt: skip
"""Training as the paper counts it: single precision, plain SGD, every op of the TensorFlow 1 graph on its own."""


class GraphModel(Record, ABC):
    """What the models share that are given by an op graph: layers, sizes solved for a parameter count, FLOPs."""

    __slots__ = ()
    FAMILY: ClassVar[str]
    FREE: ClassVar[str] = "hidden"  # the width `sized` solves for
    padded: ClassVar[bool] = True

    @property
    @abstractmethod
    def parameters(self) -> float:
        """All trainable parameters."""

    @abstractmethod
    def graph(self, sub_batch: int, numerics: Numerics) -> Graph:
        """Forward and backward of one step."""

    @property
    def active_parameters(self) -> float:
        """All: the paper counts embeddings among the parameters of an operation."""
        return self.parameters

    @classmethod
    def sized(cls, parameters: float, **fixed: Any) -> Self:
        """The width that gives this many parameters, other sizes as given."""
        return solve_width(lambda width: cls(**{cls.FREE: width}, **fixed), parameters)

    def layers(self, sub_batch: int, numerics: Numerics, shard: Shard = Shard()) -> tuple[Layer, ...]:
        """One `Layer` per named layer of the graph."""
        return _expanded(self, sub_batch, numerics, shard)

    def flops_per_sample(self) -> tuple[float, float]:
        """Forward and training FLOPs of one sample."""
        return sample_flops(self)


@lru_cache(maxsize=64)
def _expanded(model: GraphModel, sub_batch: int, numerics: Numerics, shard: Shard) -> tuple[Layer, ...]:
    return layers_of(model.graph(sub_batch, numerics), shard, model.FAMILY)


def layers_of(graph: Graph, shard: Shard, family: str) -> tuple[Layer, ...]:
    """One `Layer` per named layer of the graph; these families cannot be cut inside a layer."""
    unsharded(family, shard)
    names, parts = [name for name, _ in graph.layers], _Parts(graph)
    sent = [*(parts.received(name) for name in names[1:]), 0.0]
    parameters = [tuple(map(_parameter, graph.weights.get(name, ()))) for name in names]
    return _layers(graph, parts, parameters, sent)


def layer_of(tape: Recorder, parameters: tuple[Parameter, ...], count: int = 1, output_bytes: float = 0.0) -> Layer:
    """What a tape of one layer recorded, as `count` equal layers."""
    graph = tape.graph()
    (layer,) = _layers(graph, _Parts(graph), [parameters], [output_bytes])
    return replace(layer, count=count) if count > 1 else layer


class _Parts:
    """The sections of every layer, and which layers make a tensor in the forward pass."""

    def __init__(self, graph: Graph) -> None:
        self.forward, self.backward = _by_layer(graph.forward), _by_layer(graph.backward)
        self.makers: dict[Tensor, set[str]] = {}
        for section in graph.forward:
            for node in section.nodes:
                for tensor in node.outputs:
                    self.makers.setdefault(tensor, set()).add(section.layer)

    def received(self, layer: str) -> float:
        """Bytes of activations the forward pass of `layer` takes over from earlier layers."""
        own, sections = {layer}, self.forward[layer]
        taken = dict.fromkeys(t for s in sections for n in s.nodes for t in n.inputs if self.makers.get(t, own) - own)
        return sum(t.total_bytes for t in (*taken, *(t for s in sections for t in s.inputs)))


def _by_layer(sections: Iterable[Section]) -> Mapping[str, list[Section]]:
    found: dict[str, list[Section]] = defaultdict(list)
    for section in sections:
        found[section.layer].append(section)
    return found


def _layers(
    graph: Graph, parts: _Parts, parameters: Sequence[tuple[Parameter, ...]], sent: Sequence[float]
) -> tuple[Layer, ...]:
    """Ops in order; saved bytes and workspace by liveness; what each policy keeps and runs again.

    Full recomputation keeps what the layer receives, selective what is not of the core of attention (Korthikanti et al.
    2022, section 5).
    """
    made: list[Layer] = []
    kept, transient = saved_tensors(graph), workspaces(graph)
    for (name, kind), held, output in zip(graph.layers, parameters, sent, strict=True):
        nodes = tuple(n for s in parts.forward[name] for n in s.nodes)
        forward = tuple(n.op for n in nodes)
        core = tuple(n.op for n in nodes if n.core)
        saved = sum(t.total_bytes for t in kept[name])
        selective = sum(t.total_bytes for t in kept[name] if not t.core)
        whole = saved if kind != "block" else min(saved, parts.received(name))
        again: dict[Recompute, tuple[Op, ...]] = {
            Recompute.NONE: (),
            Recompute.SELECTIVE: core,
            Recompute.FULL: forward,
        }
        made.append(
            Layer(
                name=name,
                count=1,
                kind=kind,
                forward=forward,
                backward=tuple(n.op for s in parts.backward[name] for n in s.nodes),
                parameters=held,
                saved_bytes={Recompute.NONE: saved, Recompute.SELECTIVE: selective, Recompute.FULL: whole},
                recompute=again if kind == "block" else {},
                output_bytes=output,
                workspace_bytes=transient[name],
                flow=Dataflow(nodes, tuple(kept[name])) if kind == "block" else None,
            )
        )
    return tuple(made)


def minimal_footprint(
    model: GraphModel, sub_batch: int, numerics: Numerics = PLAIN_FP32, *, reuse: bool = False, held: int | None = None
) -> Footprint:
    """Bytes by kind at the fullest moment of a step (see sim.workload.liveness for `reuse` and `held`)."""
    return peak(model.graph(sub_batch, numerics), numerics, reuse=reuse, held=held)


@lru_cache(maxsize=64)
def sample_flops(model: GraphModel) -> tuple[float, float]:
    """(forward, forward and backward) FLOPs that every further sample adds; what a batch pays once is left out."""
    one, two = (_flops(model.graph(b, PLAIN_FP32)) for b in (1, 2))
    return two[0] - one[0], sum(two) - sum(one)


def _flops(graph: Graph) -> tuple[float, float]:
    ahead, back = (total_flops(n.op for s in part for n in s.nodes) for part in (graph.forward, graph.backward))
    return ahead, back


def _parameter(weight: Weight) -> Parameter:
    rows = weight.sparse_rows
    return Parameter(weight.name, weight.tensor.elements, "data", rows, weight.columns if rows else 0)


__all__ = [
    "PLAIN_FP32",
    "GraphModel",
    "layer_of",
    "layers_of",
    "minimal_footprint",
    "sample_flops",
]
