"""The op graph of a recurrent model for placement: its layers cut into stretches of time steps.

Stretch t of a layer needs stretch t of the layer below and stretch t − 1 of its own; backward the other way round. What
reads a whole sequence (the memory of attention, its keys) is complete before a layer above it begins; an embedding
other than the first (the target's of a translation) waits for nothing. Forward and backward of a stretch stay together
(their activations do), a layer's weights lie wherever it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sim.device.records import Accelerator
from sim.ops import BYTES_PER_ELEMENT
from sim.placement.placement import Graph, Node
from sim.plan.prepare import single_device
from sim.plan.step_record import Stage
from sim.workload.records import Layer, Model, Numerics, Recompute

WHOLE: Final = ("memory", "keys")  # layers that are read as a whole


class _Source(NamedTuple):
    """A layer read by another: stretch by stretch, or complete."""

    layer: int
    whole: bool


def unrolled(
    model: Model, sub_batch: int, numerics: Numerics, accelerators: Sequence[Accelerator], stretches: int
) -> Graph:
    """One step of `model`, every layer in `stretches` equal pieces, timed on every accelerator."""
    layers = [layer for layer in model.layers(sub_batch, numerics) for _ in range(layer.count)]
    names = [f"{k} {layer.name}" for k, layer in enumerate(layers)]
    sources = _sources(layers)
    sizes = _outputs(layers, sources)
    steps = [single_device(model, sub_batch, numerics, chip).stages[0] for chip in accelerators]
    nodes = _forward(layers, names, sources, sizes, _seconds(steps, True, stretches), stretches)
    nodes += _backward(layers, names, sources, sizes, _seconds(steps, False, stretches), stretches)
    size, wire = BYTES_PER_ELEMENT[numerics.weights], BYTES_PER_ELEMENT[numerics.gradients]
    weights = {name: layer.parameter_elements * (size + wire) for name, layer in zip(names, layers, strict=True)}
    gradients = {name: layer.parameter_elements * wire for name, layer in zip(names, layers, strict=True)}
    return Graph(tuple(nodes), weights, gradients)


def _forward(
    layers: Sequence[Layer],
    names: Sequence[str],
    sources: Sequence[Sequence[_Source]],
    sizes: Sequence[float],
    seconds: Sequence[tuple[float, ...]],
    stretches: int,
) -> list[Node]:
    nodes = []
    for segment in _segments(layers):
        for t in range(stretches):
            for k in segment:
                after = [_name("forward", names[j], stretches - 1 if whole else t) for j, whole in sources[k]]
                after += [_name("forward", names[k], t - 1)] if t and layers[k].kind == "block" else []
                kept = layers[k].saved_bytes[Recompute.NONE] / stretches
                name, group = _name("forward", names[k], t), f"{names[k]} {t}"
                nodes.append(Node(name, names[k], seconds[k], tuple(after), sizes[k] / stretches, kept, group))
    return nodes


def _backward(
    layers: Sequence[Layer],
    names: Sequence[str],
    sources: Sequence[Sequence[_Source]],
    sizes: Sequence[float],
    seconds: Sequence[tuple[float, ...]],
    stretches: int,
) -> list[Node]:
    readers: list[list[_Source]] = [[] for _ in layers]
    for k, read in enumerate(sources):
        for j, whole in read:
            readers[j].append(_Source(k, whole))
    nodes = []
    for segment in reversed(_segments(layers)):
        for t in reversed(range(stretches)):
            for k in reversed(segment):
                after = [_name("backward", names[j], 0 if whole else t) for j, whole in readers[k]]
                after = after or [_name("forward", names[k], t)]
                again = t + 1 < stretches and layers[k].kind == "block"
                after += [_name("backward", names[k], t + 1)] if again else []
                sent = max((sizes[j] for j, _ in sources[k]), default=0.0) / stretches
                name, group = _name("backward", names[k], t), f"{names[k]} {t}"
                nodes.append(Node(name, names[k], seconds[k], tuple(after), sent, 0.0, group))
    return nodes


def _sources(layers: Sequence[Layer]) -> list[list[_Source]]:
    """What every layer reads: the layer before it; after an embedding in between, also the last layer before that."""
    sources: list[list[_Source]] = []
    for k, layer in enumerate(layers):
        read = []
        if k and layer.kind != "embedding":
            read = [k - 1]
            if layers[k - 1].kind == "embedding" and k > 1:
                read += [j for j in range(k - 2, -1, -1) if layers[j].kind != "embedding"][:1]
        sources.append([_Source(j, layers[j].name in WHOLE) for j in read])
    return sources


def _outputs(layers: Sequence[Layer], sources: Sequence[Sequence[_Source]]) -> list[float]:
    """Bytes each layer sends; one that only rearranges sends what it read."""
    sizes: list[float] = []
    for k, layer in enumerate(layers):
        read = max((sizes[j] for j, _ in sources[k]), default=0.0)
        sizes.append(layer.output_bytes or (read if layer.name in WHOLE else 0.0))
    return sizes


def _segments(layers: Sequence[Layer]) -> list[list[int]]:
    """Layers up to each that is read as a whole, and the rest: a segment is done before the next begins."""
    segments: list[list[int]] = [[]]
    for k, layer in enumerate(layers):
        segments[-1].append(k)
        if layer.name in WHOLE:
            segments.append([])
    return [segment for segment in segments if segment]


def _name(direction: str, layer: str, stretch: int) -> str:
    return f"{direction} {layer} {stretch}"


def _seconds(steps: Sequence[Stage], forward: bool, stretches: int) -> list[tuple[float, ...]]:
    """A stretch of every layer's pass on every accelerator, from the step record of each alone."""
    passes = [
        [
            (b.forward if forward else b.backward).seconds / stretches
            for b in step.chunks[0].blocks
            for _ in range(b.count)
        ]
        for step in steps
    ]
    return list(zip(*passes, strict=True))
