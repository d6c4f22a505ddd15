"""What `foretrain model` says: parameters by part, FLOPs and bytes per sample, activations, per layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sim.ops import Op, total_bytes, total_flops
from sim.report.tables import Column, Table
from sim.report.text import si, table
from sim.workload.records import Layer, Model, Numerics, Recompute

POLICIES: tuple[Recompute, ...] = (Recompute.NONE, Recompute.SELECTIVE, Recompute.FULL)


def parameters_by_part(layers: Iterable[Layer]) -> dict[str, float]:
    """Weights summed over all layers, by the name of the part they belong to."""
    parts: dict[str, float] = {}
    for layer in layers:
        for parameter in layer.parameters:
            if parameter.elements:
                parts[parameter.name] = parts.get(parameter.name, 0.0) + layer.count * parameter.elements
    return parts


def describe(model: Model, batch: int, numerics: Numerics, source: str = "") -> dict[str, Any]:
    """One record of a model; bytes and activations are those of an unsharded pass over `batch` samples, per sample."""
    layers = model.layers(batch, numerics)
    forward, training = model.flops_per_sample()
    ways = {"forward": _sum(layers, backward=False), "training": _sum(layers, backward=True)}
    kept: dict[str, float] = {
        policy: sum(n.count * n.saved_bytes[policy] for n in layers) / batch for policy in POLICIES
    }
    return {
        "name": model.name,
        "family": type(model).__name__,
        "source": source or None,
        "parameters": model.parameters,
        "parameters_active": model.active_parameters,
        "parameters_by_part": parameters_by_part(layers),
        "units_per_sample": model.units_per_sample,
        "batch": batch,
        "format": numerics.compute,
        "flops_forward_per_sample": forward,
        "flops_training_per_sample": training,
        "flops_training_per_unit": training / model.units_per_sample,
        "flops_executed_per_sample": ways["training"][0] / batch,
        "bytes_forward_per_sample": ways["forward"][1] / batch,
        "bytes_training_per_sample": ways["training"][1] / batch,
        "activation_bytes_per_sample": kept["none"],
        "activation_bytes_by_recompute": kept,
        "workspace_bytes": max(layer.workspace_bytes for layer in layers),
        "layers": [_layer(layer, batch) for layer in layers],
    }


def _sum(layers: Iterable[Layer], backward: bool) -> tuple[float, float]:
    """FLOPs and bytes of every op of a pass; with `backward`, of both directions."""
    flops = moved = 0.0
    for layer in layers:
        ops: tuple[Op, ...] = layer.forward + layer.backward if backward else layer.forward
        flops += layer.count * total_flops(ops)
        moved += layer.count * total_bytes(ops)
    return flops, moved


def _layer(layer: Layer, batch: int) -> dict[str, Any]:
    ops = layer.forward + layer.backward
    return {
        "name": layer.name,
        "count": layer.count,
        "kind": layer.kind,
        "parameters": layer.parameter_elements,
        "flops_forward_per_sample": total_flops(layer.forward) / batch,
        "flops_training_per_sample": total_flops(ops) / batch,
        "bytes_training_per_sample": total_bytes(ops) / batch,
        "activation_bytes_per_sample": layer.saved_bytes[Recompute.NONE] / batch,
        "ops": len(ops),
    }


def render(found: dict[str, Any]) -> str:
    """The record as text: totals, parts, layers."""
    active = found["parameters_active"]
    lines = [f"{found['name']} ({found['family']})" + (f": {found['source']}" if found["source"] else "")]
    lines.append(
        f"parameters   {found['parameters']:,.0f}" + (f", active {active:,.0f}" * (active != found["parameters"]))
    )
    lines += ["", table(("part", "parameters", "share"), _parts(found)), ""]
    kept = found["activation_bytes_by_recompute"]
    rows = [
        ("FLOPs forward", si(found["flops_forward_per_sample"], "FLOP")),
        ("FLOPs training", si(found["flops_training_per_sample"], "FLOP")),
        ("bytes forward", si(found["bytes_forward_per_sample"], "B")),
        ("bytes training", si(found["bytes_training_per_sample"], "B")),
        ("activations kept", si(kept["none"], "B")),
        ("  selective recompute", si(kept["selective"], "B")),
        ("  full recompute", si(kept["full"], "B")),
    ]
    unit = found["units_per_sample"]
    lines.append(table((f"per sample of {unit:,.0f} units, batch {found['batch']}, {found['format']}", ""), rows))
    return "\n".join([*lines, "", layers_table(found).text()])


MOST_PARTS = 12  # lines of the table of parts

LAYERS = (
    Column("layer"),
    Column("count", "count"),
    Column("parameters", "si"),
    Column("training", "si", "FLOP"),
    Column("traffic", "si", "B"),
    Column("activations", "si", "B"),
)


def _parts(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    parts = sorted(found["parameters_by_part"].items(), key=lambda item: -item[1])
    if len(parts) > MOST_PARTS:
        rest = parts[MOST_PARTS - 1 :]
        parts = [*parts[: MOST_PARTS - 1], (f"{len(rest)} others", sum(n for _, n in rest))]
    return [(name, f"{n:,.0f}", f"{100 * n / found['parameters']:.2f} %") for name, n in parts]


def layers_table(found: dict[str, Any]) -> Table:
    """A row per kind of layer: its parameters, and work, traffic and activations of a sample."""
    keys = ("name", "count", "parameters", "flops_training_per_sample", "bytes_training_per_sample")
    return Table(
        LAYERS, tuple(tuple(row[k] for k in (*keys, "activation_bytes_per_sample")) for row in found["layers"])
    )


def render_list(families: Iterable[str], published: Iterable[tuple[str, float, str]]) -> str:
    """Families and published models that can be named."""
    rows = [(name, source, si(count)) for name, count, source in published]
    return "\n".join([f"families: {', '.join(families)}", "", table(("model", "source", "parameters"), rows, left=2)])
