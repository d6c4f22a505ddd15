"""Which blocks each (virtual) stage holds.

Blocks are dealt as evenly as possible, virtual stage by virtual stage; the embedding joins the first, the head the
last. Uneven stages are given by `Plan.stage_layers`. Where the counts given add up to the blocks plus two, embedding
and head count as a block each (as BLOOM's 70 + 2 over 12 stages).
"""

from __future__ import annotations

from dataclasses import replace

from sim.errors import InputError, Problem
from sim.plan.records import LayerSchedule, Plan
from sim.records import dataclass
from sim.workload.records import Layer


@dataclass(frozen=True, slots=True)
class Part:
    """`count` consecutive blocks of one layer on one virtual stage."""

    layer: Layer
    count: int


def stage_counts(blocks: int, plan: Plan) -> tuple[int, ...]:
    """Blocks (embedding and head apart) on each virtual stage."""
    places = plan.places
    if plan.stage_layers:
        return _given(blocks, places, plan)
    if places > max(blocks, 1):
        rule = f"{places} stages need at least as many blocks; the model has {blocks}"
        raise InputError(Problem(rule, "plan.pipeline", str(places), hint=f"at most {blocks} stages"))
    least, more = divmod(blocks, places)
    # the first and the last stage also hold embedding and head: what is left over goes to the middle
    middle = sorted(range(places), key=lambda i: abs(2 * i + 1 - places))
    extra = set(middle[:more])
    return tuple(least + (i in extra) for i in range(places))


def _given(blocks: int, places: int, plan: Plan) -> tuple[int, ...]:
    counts = plan.stage_layers
    if len(counts) == places and sum(counts) == blocks:
        return counts
    if len(counts) == places and sum(counts) == blocks + 2 and counts[0] > 0 and counts[-1] > 0:
        if places == 1:
            return (counts[0] - 2,)
        return (counts[0] - 1, *counts[1:-1], counts[-1] - 1)
    rule = f"must give {places} numbers that add up to {blocks} blocks (or {blocks + 2} with embedding and head)"
    hint = f"as even as possible: {list(stage_counts(blocks, replace(plan, stage_layers=())))}"
    raise InputError(Problem(rule, "plan.stage_layers", str(list(counts)), hint=hint))


Assigned = tuple[tuple[tuple[Part, ...], ...], ...]  # [stage][chunk][part]


def assign(layers: tuple[Layer, ...], plan: Plan) -> Assigned:
    """parts[stage][chunk]: what every chunk of every stage holds, in forward order."""
    blocks = sum(layer.count for layer in layers if layer.kind == "block")
    places = plan.places
    if plan.layer_schedule != LayerSchedule.NONE or blocks < places:
        placed = _by_layer(layers, plan)
    else:
        placed = _dealt(layers, stage_counts(blocks, plan))
    return tuple(
        tuple(tuple(placed[place_of(stage, chunk, plan)]) for chunk in range(plan.chunks))
        for stage in range(plan.pipeline)
    )


def place_of(stage: int, chunk: int, plan: Plan) -> int:
    """The virtual stage a stage holds as a chunk: the second one counts from the end where micro-batches run both ways
    over it."""
    if chunk and plan.schedule.two_way:
        return plan.places - 1 - stage
    return chunk * plan.pipeline + stage


def _dealt(layers: tuple[Layer, ...], counts: tuple[int, ...]) -> list[list[Part]]:
    placed: list[list[Part]] = [[] for _ in counts]
    place, room = 0, counts[0]
    for layer in layers:
        if layer.kind != "block":
            placed[0 if layer.kind == "embedding" else -1].append(Part(layer, layer.count))
            continue
        left = layer.count
        while left:
            while room == 0:
                place += 1
                room = counts[place]
            take = min(left, room)
            placed[place].append(Part(layer, take))
            left -= take
            room -= take
    return placed


def _by_layer(layers: tuple[Layer, ...], plan: Plan) -> list[list[Part]]:
    """Layer parallelism: every layer (embedding and head too) on a device of its own, in order."""
    single = [Part(layer, 1) for layer in layers for _ in range(layer.count)]
    places = plan.places
    if plan.stage_layers and sum(plan.stage_layers) == len(single) and len(plan.stage_layers) == places:
        counts = plan.stage_layers
    elif len(single) >= places:
        least, more = divmod(len(single), places)
        counts = tuple(least + (i >= places - more) for i in range(places))
    else:
        rule = f"{places} stages need at least as many layers; the model has {len(single)}"
        raise InputError(Problem(rule, "plan.pipeline", str(places), hint=f"at most {len(single)} stages"))
    placed, at = [], 0
    for count in counts:
        placed.append(single[at : at + count])
        at += count
    return placed
