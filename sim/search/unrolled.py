"""The op graph of a recurrent model for placement: its layers cut into stretches of time steps.

Stretch t of layer l needs stretch t of the layer below and stretch t − 1 of its own; backward the other way round.
Forward and backward of a stretch stay together (their activations do), a layer's weights lie wherever it runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.device import time_ops
from sim.device.records import Accelerator
from sim.ops import BYTES_PER_ELEMENT
from sim.search.placement import Graph, Node
from sim.workload.records import Layer, Model, Numerics


def unrolled(
    model: Model, sub_batch: int, numerics: Numerics, accelerators: Sequence[Accelerator], stretches: int
) -> Graph:
    """One step of `model`, every layer in `stretches` equal pieces, timed on every accelerator."""
    layers = [layer for layer in model.layers(sub_batch, numerics) for _ in range(layer.count)]
    names = [f"{k} {layer.name}" for k, layer in enumerate(layers)]
    ahead = [_seconds(layer, accelerators, stretches, True) for layer in layers]
    back = [_seconds(layer, accelerators, stretches, False) for layer in layers]
    nodes = []
    for t in range(stretches):
        for k, layer in enumerate(layers):
            after = [_name("forward", names[k - 1], t)] if k else []
            after += [_name("forward", names[k], t - 1)] if t and layer.kind == "block" else []
            kept = layer.saved_bytes["none"] / stretches
            nodes.append(
                Node(
                    _name("forward", names[k], t),
                    names[k],
                    ahead[k],
                    tuple(after),
                    layer.output_bytes / stretches,
                    kept,
                    f"{names[k]} {t}",
                )
            )
    for t in reversed(range(stretches)):
        for k in reversed(range(len(layers))):
            layer = layers[k]
            above, below = k + 1 < len(layers), layers[k - 1].output_bytes if k else 0.0
            after = [_name("backward", names[k + 1], t)] if above else [_name("forward", names[k], t)]
            after += [_name("backward", names[k], t + 1)] if t + 1 < stretches and layer.kind == "block" else []
            name = _name("backward", names[k], t)
            nodes.append(Node(name, names[k], back[k], tuple(after), below / stretches, 0.0, f"{names[k]} {t}"))
    size = BYTES_PER_ELEMENT[numerics.weights] + BYTES_PER_ELEMENT[numerics.gradients]
    weights = {name: layer.parameter_elements * size for name, layer in zip(names, layers, strict=True)}
    return Graph(tuple(nodes), weights)


def _name(direction: str, layer: str, stretch: int) -> str:
    return f"{direction} {layer} {stretch}"


def _seconds(layer: Layer, accelerators: Sequence[Accelerator], stretches: int, forward: bool) -> tuple[float, ...]:
    ops = layer.forward if forward else layer.backward
    return tuple(time_ops(ops, chip).seconds / stretches for chip in accelerators)
