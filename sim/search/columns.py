"""Bytes and bounds of many plans at once: columns in, columns out.

Plans of one composition (which layers each kind of stage holds) add up the same way what their layers keep and take, so
that a row of a plan holds only numbers of what it shares with others: a set of layers (sub-batch and degrees inside
them), a policy of recomputation, an exchange of parameters (sharding and groups). Each of these is asked once of the
room that knows it; the sums over chunks and layers, and the greatest of the stages, are numpy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.device.records import Accelerator
from sim.errors import InputError
from sim.plan.candidates import Variant
from sim.plan.gradients import Closing
from sim.plan.groups import Groups
from sim.plan.layout import Assigned, Part, assign
from sim.plan.memory import copied_for_update, exchanged, in_flight, messages, overhead, state
from sim.plan.prepare import Recorder
from sim.plan.pricing import Contention, Pricer, shard_of
from sim.plan.records import DEGREES, Plan, Sharding
from sim.plan.step_record import Way
from sim.workload.records import Layer, Policy, Recompute, Shard

Floats: TypeAlias = NDArray[np.float64]
Stages: TypeAlias = list[tuple[tuple[Part, ...], ...]]  # what a stage of every kind holds, chunk by chunk
Known: TypeAlias = dict[Closing, tuple[str, float]]
EVERY_PASS: Final = (Sharding.GRADIENTS, Sharding.FULL)  # gradients are reduced after every backward pass


class Layers:
    """The layers of one sub-batch and one set of degrees inside them: what each keeps and what its passes take."""

    def __init__(self, layers: tuple[Layer, ...], held: int) -> None:
        self.layers, self.held = layers, held
        self.shape = tuple((x.name, x.kind, x.count) for x in layers)
        self.outputs = np.array([x.output_bytes for x in layers])
        self.output = float(self.outputs.max(initial=0.0))
        self.workspace = np.array([x.workspace_bytes for x in layers])
        self._saved: dict[Policy, Floats] = {}
        self._axes: dict[Policy, tuple[str, ...]] = {}
        self._seconds: dict[object, tuple[Floats, Floats]] = {}

    def saved(self, policy: Policy) -> Floats:
        """Bytes every layer keeps for backward."""
        if policy not in self._saved:
            self._saved[policy] = np.array([x.saved(policy) for x in self.layers])
        return self._saved[policy]

    def seconds(self, pricer: Pricer, layout: Plan, variant: Variant, groups: Groups) -> tuple[Floats, Floats]:
        """Forward and backward of every layer (s); plans whose groups inside the layers are the same share them."""
        policy = variant.recompute
        if policy not in self._axes:
            plan = variant.of(layout)
            ways = (Way.FORWARD, Way.BACKWARD)
            passes = [pricer.one_pass(x, way, policy, plan)[1] for x in self.layers for way in ways]
            self._axes[policy] = tuple(sorted({axis for one in passes for axis in one.axes}))
        flat = layout.framework.gradient_passes > 0 and variant.sharding in EVERY_PASS
        key = (policy, flat, tuple(groups.axis(axis) for axis in self._axes[policy]))
        if key not in self._seconds:
            plan = variant.of(layout)
            works = [pricer.works(x, policy, plan, groups, Contention()) for x in self.layers]
            self._seconds[key] = np.array([f.seconds for f, _ in works]), np.array([b.seconds for _, b in works])
        return self._seconds[key]


class Row(NamedTuple):
    """A plan by what it shares with others."""

    place: int
    layers: Layers
    exchange: Exchange
    passes: int
    layout: Plan
    variant: Variant


class Timed(NamedTuple):
    """A row's passes, seconds of its layers forward and backward, of a message, of the transfers by kind of stage, and
    of what follows the last pass; whether gradients are reduced after every pass."""

    passes: int
    forward: Floats
    backward: Floats
    send_s: float
    transfers: tuple[float, ...]
    after_s: float
    every_pass: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plan with what its fullest device holds and a bound below its step time (None where it does not fit)."""

    layout: Plan
    variant: Variant
    needed_bytes: float
    capacity_bytes: float
    least_s: float | None

    @property
    def plan(self) -> Plan:
        return self.variant.of(self.layout)


class Composition:
    """Which layers each chunk of each kind of stage holds, and where the stages of a kind lie."""

    def __init__(self, layers: tuple[Layer, ...], parts: Assigned) -> None:
        number = {id(layer): place for place, layer in enumerate(layers)}
        kinds: dict[tuple[tuple[tuple[int, int], ...], ...], int] = {}
        self.kind_of = []
        for chunks in parts:
            name = tuple(tuple((number[id(part.layer)], part.count) for part in chunk) for chunk in chunks)
            self.kind_of.append(kinds.setdefault(name, len(kinds)))
        self.first = [self.kind_of.index(kind) for kind in range(len(kinds))]
        self.last = np.array([len(parts) - 1 - self.kind_of[::-1].index(kind) for kind in range(len(kinds))])
        self.before = np.array([np.bincount(self.kind_of[:last], minlength=len(kinds)) for last in self.last])
        self.counts = np.zeros((len(kinds), len(parts[0]), len(layers)))  # kind, chunk, layer
        self.places = list(kinds)  # of every kind, chunk by chunk: (layer, count)
        for kind, held in enumerate(self.places):
            for at, placed in enumerate(held):
                for layer, count in placed:
                    self.counts[kind, at, layer] += count
        self.rows: list[Row] = []
        self._flights: dict[int, Floats] = {}

    def parts(self, layers: Layers) -> Stages:
        """What a stage of every kind holds of some layers."""
        made = [[tuple(Part(layers.layers[k], n) for k, n in chunk) for chunk in chunks] for chunks in self.places]
        return [tuple(chunks) for chunks in made]

    def flights(self, plan: Plan, passes: int) -> Floats:
        """Micro-batches whose activations each chunk of a stage of each kind holds at the fullest moment."""
        if passes not in self._flights:
            stages = [in_flight(stage, plan, passes) for stage in self.first]
            self._flights[passes] = np.array(stages, dtype=float)
        return self._flights[passes]

    def kept(self, rows: Sequence[Row]) -> Floats:
        """Activations and workspace at the fullest moment of backward, by plan and kind of stage (see
        `memory.activations`)."""
        flights = np.array([self.flights(row.exchange.recorder.plan, row.passes) for row in rows])
        saved = np.array([row.layers.saved(row.variant.recompute) for row in rows])
        again = np.array([row.layers.saved(Recompute.NONE) for row in rows]) - saved
        transient = np.array([row.layers.workspace for row in rows]) + again
        parts = self.counts * saved[:, None, None, :]
        kept = np.sum(flights * parts.sum(axis=3), axis=2)
        alive = np.where(flights[..., None] > 0.0, parts, 0.0)
        later = np.cumsum(alive[..., ::-1], axis=3)[..., ::-1] - alive  # of the parts after the running one
        moments = np.where(self.counts > 0.0, transient[:, None, None, :] - later, -np.inf)
        fullest = moments.max(axis=(2, 3))
        return np.asarray(kept + np.where(np.isfinite(fullest), fullest, 0.0))

    def bytes(self, rows: Sequence[Row], accelerator: Accelerator) -> Floats:
        """What the fullest device of every plan needs (see `DeviceMemory.needed_bytes`)."""
        plan = rows[0].layout
        held = self.counts.sum(axis=1) > 0.0
        output = np.where(held, np.array([row.layers.outputs for row in rows])[:, None, :], 0.0).max(axis=2)
        kept, sent = self.kept(rows), messages(output, plan) + np.array([row.exchange.buffers for row in rows])
        around = overhead(kept + sent, plan, accelerator)
        fixed = np.array([row.exchange.state for row in rows])
        copied = np.array([row.exchange.copied for row in rows])
        moving = np.maximum(kept, copied) + sent
        return np.asarray((fixed + moving + around["fragmentation"] + around["reserve"]).max(axis=1))

    def least(self, rows: Sequence[Timed]) -> Floats:
        """The bound of `estimate.lower_bound`: of the stages of a kind the last one begins latest."""
        passes, forward, backward, send, transfers, after, every = map(np.array, zip(*rows, strict=True))
        passes, send, every = passes[:, None], send[:, None], every[:, None]
        chunks = np.einsum("kcl,nl->nkc", self.counts, forward + backward)
        whole, first = chunks.sum(axis=2), chunks[:, :, 0]
        way = first @ self.before.T + 2.0 * send * self.last
        ahead = whole * (passes - 1.0) + forward @ self.counts[:, 0].T if self.counts.shape[1] == 1 else 0.0
        alone = np.where(every, passes * transfers, ahead + transfers)
        return np.asarray(np.maximum(way + passes * whole, alone).max(axis=1) + after)

    def weighed(self, columns: Columns) -> dict[int, Candidate]:
        """All rows: memory first, so that a plan that does not fit is not priced."""
        rows, accelerator = self.rows, columns.pricer.accelerator
        total = self.bytes(rows, accelerator)
        least: list[float | None] = [None] * len(rows)
        timed = {k: columns.timed(rows[k]) for k in np.flatnonzero(total <= accelerator.memory.capacity_bytes).tolist()}
        priced = {k: found for k, found in timed.items() if found is not None}
        if priced:
            for k, seconds in zip(priced, self.least(list(priced.values())).tolist(), strict=True):
                least[k] = seconds
        candidates = (
            Candidate(row.layout, row.variant, held, accelerator.memory.capacity_bytes, bound)
            for row, held, bound in zip(rows, total.tolist(), least, strict=True)
        )
        return {
            row.place: c
            for k, (row, c) in enumerate(zip(rows, candidates, strict=True))
            if k in priced or k not in timed
        }


class Exchange:
    """What plans of one sharding, composition and rank order hold of weights and exchange, by kind of stage."""

    def __init__(self, pricer: Pricer, plan: Plan, composition: Composition, parts: Stages, known: Known) -> None:
        self.recorder = Recorder.of(pricer, plan)
        self.composition, self.parts, self.known = composition, parts, known
        self.every_pass = plan.sharding in EVERY_PASS
        numerics, groups = pricer.numerics, self.recorder.groups
        self.state = [sum(state(chunks, plan, numerics, groups, 0.0).values()) for chunks in self.parts]
        self.copied = [copied_for_update(chunks, plan, groups, 0.0) for chunks in self.parts]
        self.buffers = [exchanged(chunks, plan, numerics) for chunks in self.parts]
        self._sends: dict[tuple[float, bool], float] = {}

    @cached_property
    def timed(self) -> tuple[tuple[float, ...], float]:
        """Seconds of the transfers of every kind of stage, and of what follows the last pass."""
        norm = self.recorder.norm()
        after = self.recorder.after_s(self.parts[self.composition.kind_of[0]]) + (norm.seconds if norm else 0.0)
        return tuple(self.recorder.streams_s(chunks, self.known) for chunks in self.parts), after

    def send(self, layers: Layers, split: bool) -> float:
        """Of a micro-batch to the next stage."""
        if self.recorder.plan.pipeline == 1:
            return 0.0
        key = (layers.output, split)
        if key not in self._sends:
            self._sends[key] = self.recorder.message(*key).seconds
        return self._sends[key]


Cell: TypeAlias = tuple[Layers, Composition, Stages, int]
"""What plans of one set of degrees, sub-batch and interleaving share, and their passes."""


class Columns:
    """The rows of plans of one model, by composition."""

    def __init__(self, pricer: Pricer) -> None:
        self.pricer = pricer
        self.refused: InputError | None = None  # why the last plan was left out
        self._layers: dict[tuple[int, Shard], Layers] = {}
        self._held: dict[object, int] = {}  # parameters of all layers → their number
        self._compositions: dict[object, Composition | None] = {}
        self._parts: dict[object, Stages] = {}
        # by degrees (sequence parallel or not): exchanges, and what is reduced in those of one sharding and order
        self._exchanges: dict[object, tuple[dict[object, Exchange | None], dict[object, Known]]] = {}

    def add(self, layout: Plan, variants: Sequence[Variant], place: int) -> None:
        """Plans of one set of degrees as rows, numbered from `place`; those the model cannot take are left out."""
        cells: dict[tuple[int, int], Cell | None] = {}
        degrees = tuple(getattr(layout, axis) for axis in DEGREES)
        exchanges, reduced = self._exchanges.setdefault(degrees, ({}, {}))
        for number, variant in enumerate(variants, place):
            sub_batch, chunks, sharding, _, order = variant
            if (sub_batch, chunks) not in cells:
                cells[sub_batch, chunks] = self._cell(layout, variant)
            cell = cells[sub_batch, chunks]
            if cell is None:
                continue
            layers, composition, parts, passes = cell
            shared = (layers.held, chunks, order, sharding, passes <= 1)
            if shared not in exchanges:
                known = reduced.setdefault((order, sharding), {})
                exchanges[shared] = self._exchange(variant.of(layout), composition, parts, known)
            exchange = exchanges[shared]
            if exchange is not None:
                composition.rows.append(Row(number, layers, exchange, max(1, passes), layout, variant))

    def weighed(self) -> dict[int, Candidate]:
        """Every row that can be priced, by its number."""
        found: dict[int, Candidate] = {}
        for composition in self._compositions.values():
            if composition is not None and composition.rows:
                found |= composition.weighed(self)
        return found

    def layers(self, layout: Plan, sub_batch: int) -> Layers:
        """The layers of a sub-batch under the degrees of a layout."""
        key = (sub_batch, shard_of(layout))
        if key not in self._layers:
            layers = self.pricer.layers_of(*key)
            parameters = tuple((x.parameters, x.kind, x.count, x.updated) for x in layers)
            self._layers[key] = Layers(layers, self._held.setdefault(parameters, len(self._held)))
        return self._layers[key]

    def _cell(self, layout: Plan, variant: Variant) -> Cell | None:
        """Of a plan; None where the model cannot be cut so, or the stages cannot be filled."""
        try:
            layers = self.layers(layout, variant.sub_batch)
        except InputError:
            return None
        shape = (layout.pipeline, variant.virtual_stages, layers.shape)
        if shape not in self._compositions:
            try:
                parts = assign(layers.layers, variant.of(layout))
                self._compositions[shape] = Composition(layers.layers, parts)
            except InputError:
                self._compositions[shape] = None
        composition = self._compositions[shape]
        if composition is None:
            return None
        key = (layers.held, id(composition))
        if key not in self._parts:
            self._parts[key] = composition.parts(layers)
        passes = layout.global_batch // (variant.sub_batch * layout.data)
        return layers, composition, self._parts[key], passes

    def _exchange(self, plan: Plan, composition: Composition, parts: Stages, known: Known) -> Exchange | None:
        try:
            return Exchange(self.pricer, plan, composition, parts, known)
        except InputError as error:
            self.refused = error
            return None

    def timed(self, row: Row) -> Timed | None:
        """What passes, messages and transfers of a row take; None (and why) where they cannot be priced."""
        try:
            seconds = row.layers.seconds(self.pricer, row.layout, row.variant, row.exchange.recorder.groups)
            transfers, after = row.exchange.timed
            send = row.exchange.send(row.layers, row.layout.sequence_parallel)
            return Timed(row.passes, *seconds, send, transfers, after, row.exchange.every_pass)
        except InputError as error:
            self.refused = error
            return None
