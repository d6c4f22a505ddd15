"""Bytes and bounds of many plans at once: columns in, columns out.

Plans of one composition (which layers each kind of stage holds) add up the same way what their layers keep and take, so
that a row of a plan holds only numbers of what it shares with others: a set of layers (sub-batch and degrees inside
them), a policy of recomputation, an exchange of parameters (sharding and groups). Each of these is asked once of the
room that knows it; the sums over chunks and layers, and the greatest of the stages, are numpy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.device.records import Accelerator
from sim.errors import InputError
from sim.network import Group, level_of
from sim.ops import Collective
from sim.plan.candidates import Variant
from sim.plan.layout import Assigned, Part, assign
from sim.plan.memory import copied_for_update, exchanged, in_flight, messages, overhead, state
from sim.plan.prepare import Recorder, Reduced
from sim.plan.pricing import Pricer, shard_of
from sim.plan.records import DEGREES, Plan, Sharding
from sim.plan.step_record import Way
from sim.search.cells import Cell, Kinds, cells
from sim.workload.records import BY_ROWS, Layer, Parameter, Policy, Recompute, Shard

Floats: TypeAlias = NDArray[np.float64]
Stages: TypeAlias = list[tuple[tuple[Part, ...], ...]]  # what a stage of every kind holds, chunk by chunk
NEVER: Final = (Recompute.NONE,)
EVERY_PASS: Final = (Sharding.GRADIENTS, Sharding.FULL)  # gradients are reduced after every backward pass


class Layers:
    """The layers of one sub-batch and one set of degrees inside them: what each keeps and what its passes take."""

    def __init__(self, layers: tuple[Layer, ...], held: int, shape: int) -> None:
        self.layers, self.held, self.shape = layers, held, shape
        self.outputs = np.array([x.output_bytes for x in layers])
        self.output = float(self.outputs.max(initial=0.0))
        self.workspace = np.array([x.workspace_bytes for x in layers])
        self._saved: dict[tuple[Policy, ...], Floats] = {}
        self._seconds: dict[tuple[Group, ...], dict[object, Floats]] = {}  # by the groups of the collectives inside

    @cached_property
    def axes(self) -> list[str]:
        """Of the collectives inside."""
        ops = (op for x in self.layers for run in (x.forward, x.backward, *x.recompute.values()) for op in run)
        return sorted({op.axis for op in ops if isinstance(op, Collective)})

    def saved(self, policies: tuple[Policy, ...]) -> Floats:
        """Bytes every layer keeps for backward, by policy."""
        if policies not in self._saved:
            self._saved[policies] = np.array([[x.saved(policy) for x in self.layers] for policy in policies])
        return self._saved[policies]

    def seconds(
        self, pricer: Pricer, recorder: Recorder, variants: Sequence[Variant]
    ) -> tuple[Floats, Sequence[Floats]]:
        """Forward of every layer (s), and backward under each of some policies; plans whose groups inside the layers
        are the same share them."""
        plan, groups = recorder.plan, recorder.groups
        known = self._seconds.setdefault(tuple([groups.axis(axis) for axis in self.axes]), {})
        flat = plan.framework.gradient_passes > 0 and plan.sharding in EVERY_PASS

        def priced(way: Way, policy: Policy) -> Floats:
            return np.array([pricer.seconds(layer, way, policy, plan, groups) for layer in self.layers])

        if None not in known:
            known[None] = priced(Way.FORWARD, Recompute.NONE)
        backward = []
        for variant in variants:
            key = (variant.recompute, flat)
            if key not in known:
                known[key] = priced(Way.BACKWARD, variant.recompute)
            backward.append(known[key])
        return known[None], backward


class Run(NamedTuple):
    """The plans of a cell and a set of degrees, numbered from `first`, by what they share with others; `exchanges`: one
    for each (sharding, order)."""

    first: int
    cell: Cell
    layers: Layers
    exchanges: Sequence[Exchange]
    passes: int
    layout: Plan
    ranks: Ranks


class Rows(NamedTuple):
    """Of every plan of a composition: its run, and where its policy and its exchange stand among those of all runs."""

    run: NDArray[np.intp]
    policy: NDArray[np.intp]
    exchange: NDArray[np.intp]


class Timed(NamedTuple):
    """Plans of one run and exchange: how many, their passes, seconds of their layers forward and (each) backward, of a
    message, of the transfers by kind of stage, and of what follows the last pass; whether gradients are reduced after
    every pass."""

    plans: int
    passes: int
    forward: Floats
    backward: Sequence[Floats]
    send_s: float
    transfers: tuple[float, ...]
    after_s: float
    every_pass: bool


class Candidate(NamedTuple):
    """A plan with what its fullest device holds and a bound below its step time (None where it does not fit).

    With a `row` that bound is of its kernels and the collectives inside them alone (see `Columns.tight`).
    """

    layout: Plan
    variant: Variant
    needed_bytes: float
    capacity_bytes: float
    least_s: float | None
    row: tuple[Composition, Run] | None = None

    @property
    def plan(self) -> Plan:
        return self.variant.of(self.layout)


class Composition:
    """Which layers each chunk of each kind of stage holds, and where the stages of a kind lie."""

    def __init__(self, layers: tuple[Layer, ...], plan: Plan, parts: Assigned) -> None:
        self.plan = plan  # of this many stages and chunks
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
        self.runs: list[Run] = []
        self._flights: dict[int, Floats] = {}

    def parts(self, layers: Layers) -> Stages:
        """What a stage of every kind holds of some layers."""
        made = [[tuple(Part(layers.layers[k], n) for k, n in chunk) for chunk in chunks] for chunks in self.places]
        return [tuple(chunks) for chunks in made]

    def flights(self, passes: int) -> Floats:
        """Micro-batches whose activations each chunk of a stage of each kind holds at the fullest moment."""
        if passes not in self._flights:
            stages = [in_flight(stage, self.plan, passes) for stage in self.first]
            self._flights[passes] = np.array(stages, dtype=float)
        return self._flights[passes]

    @cached_property
    def rows(self) -> Rows:
        """Of the plans, once all are added."""
        cells = [run.cell for run in self.runs]
        run = np.repeat(np.arange(len(cells)), [len(cell.variants) for cell in cells])
        policies = np.cumsum([0, *(len(cell.kinds.policies) for cell in cells)])[run]
        ways = np.cumsum([0, *(len(cell.kinds.ways) for cell in cells)])[run]
        policy = np.concatenate([cell.kinds.policy for cell in cells]) + policies
        return Rows(run, policy, np.concatenate([cell.kinds.way for cell in cells]) + ways)

    def kept(self) -> Floats:
        """Activations and workspace at the fullest moment of backward, by policy of every run and kind of stage (see
        `memory.activations`)."""
        of = np.repeat(np.arange(len(self.runs)), [len(run.cell.kinds.policies) for run in self.runs])
        flights = np.array([self.flights(run.passes) for run in self.runs])[of]
        saved = np.concatenate([run.layers.saved(run.cell.kinds.policies) for run in self.runs])
        again = np.array([run.layers.saved(NEVER)[0] for run in self.runs])[of] - saved
        transient = np.array([run.layers.workspace for run in self.runs])[of] + again
        parts = self.counts * saved[:, None, None, :]
        kept = np.sum(flights * parts.sum(axis=3), axis=2)
        alive = np.where(flights[..., None] > 0.0, parts, 0.0)
        later = np.cumsum(alive[..., ::-1], axis=3)[..., ::-1] - alive  # of the parts after the running one
        moments = np.where(self.counts > 0.0, transient[:, None, None, :] - later, -np.inf)
        fullest = moments.max(axis=(2, 3))
        return np.asarray(kept + np.where(np.isfinite(fullest), fullest, 0.0))

    def bytes(self, accelerator: Accelerator) -> Floats:
        """What the fullest device of every plan needs (see `DeviceMemory.needed_bytes`)."""
        plan, rows = self.runs[0].layout, self.rows
        exchanges = [exchange for run in self.runs for exchange in run.exchanges]
        held = self.counts.sum(axis=1) > 0.0
        outputs = np.array([run.layers.outputs for run in self.runs])
        output = np.where(held, outputs[:, None, :], 0.0).max(axis=2)
        sent = messages(output, plan)[rows.run] + np.array([x.buffers for x in exchanges])[rows.exchange]
        kept = self.kept()[rows.policy]
        moving = np.maximum(kept, np.array([x.copied for x in exchanges])[rows.exchange]) + sent
        fixed = np.array([x.state for x in exchanges])[rows.exchange]
        return np.asarray((fixed + moving + overhead(0.0, plan, accelerator)["reserve"]).max(axis=1))

    def least(self, rows: Sequence[Timed]) -> Floats:
        """The bound of `estimate.lower_bound`: of the stages of a kind the last one begins latest."""
        of = np.repeat(np.arange(len(rows)), [row.plans for row in rows])
        passes = np.array([row.passes for row in rows])[of, None]
        send = np.array([row.send_s for row in rows])[of, None]
        every = np.array([row.every_pass for row in rows])[of, None]
        transfers = np.array([row.transfers for row in rows])[of]
        forward = np.array([row.forward for row in rows])[of]
        both = forward + np.array([seconds for row in rows for seconds in row.backward])
        chunks = np.einsum("kcl,nl->nkc", self.counts, both)
        whole, first = chunks.sum(axis=2), chunks[:, :, 0]
        way = first @ self.before.T + 2.0 * send * self.last
        ahead = whole * (passes - 1.0) + forward @ self.counts[:, 0].T if self.counts.shape[1] == 1 else 0.0
        alone = np.where(every, passes * transfers, ahead + transfers)
        after = np.array([row.after_s for row in rows])[of]
        return np.asarray(np.maximum(way + passes * whole, alone).max(axis=1) + after)

    def weighed(self, columns: Columns, tight: bool) -> dict[int, Candidate]:
        """All plans: memory first, so that one that does not fit is not priced."""
        capacity = columns.pricer.accelerator.memory.capacity_bytes
        found: dict[int, Candidate] = {}
        timed: list[Timed] = []
        fitting: list[tuple[int, Run, Variant, float]] = []
        needs = self.bytes(columns.pricer.accelerator).tolist()
        at = 0
        for run in self.runs:
            first, cell, layout = run.first, run.cell, run.layout
            need = needs[at : at + len(cell.variants)]
            at += len(need)
            for exchange, members in zip(run.exchanges, cell.kinds.members, strict=True):
                able = []
                for k in members:
                    if need[k] <= capacity:
                        able.append(k)
                    else:
                        found[first + cell.places[k]] = Candidate(layout, cell.variants[k], need[k], capacity, None)
                row = columns.timed(run, exchange, [cell.variants[k] for k in able], tight) if able else None
                if row is not None:
                    fitting += [(first + cell.places[k], run, cell.variants[k], need[k]) for k in able]
                    timed.append(row)
        least = self.least(timed).tolist() if timed else []
        for (number, run, variant, needed), bound in zip(fitting, least, strict=True):
            found[number] = Candidate(run.layout, variant, needed, capacity, bound, None if tight else (self, run))
        return found


class Exchange:
    """What plans of one sharding, composition and rank order hold of weights and exchange, by kind of stage."""

    def __init__(self, recorder: Recorder, composition: Composition, parts: Stages, known: Reduced) -> None:
        self.recorder, self.composition, self.parts, self.known = recorder, composition, parts, known
        plan, groups, numerics = recorder.plan, recorder.groups, recorder.pricer.numerics
        self.every_pass = plan.sharding in EVERY_PASS
        self.state = [sum(state(chunks, plan, numerics, groups, 0.0).values()) for chunks in parts]
        self.copied = [copied_for_update(chunks, plan, groups, 0.0) for chunks in parts]
        self.buffers = [exchanged(chunks, plan, numerics) for chunks in parts]
        self.none = (0.0,) * len(parts)  # as many seconds of transfers

    @cached_property
    def level(self) -> int:
        """Outermost level of the cluster that gradients cross."""
        return level_of(self.recorder.pricer.communicator.cluster, self.recorder.groups.data)

    @cached_property
    def timed(self) -> tuple[tuple[float, ...], float]:
        """Seconds of the transfers of every kind of stage, and of what follows the last pass."""
        norm = self.recorder.norm()
        after = self.recorder.after_s(self.parts[self.composition.kind_of[0]]) + (norm.seconds if norm else 0.0)
        return tuple(self.recorder.streams_s(chunks, self.known) for chunks in self.parts), after


class Ranks:
    """What plans of one set of degrees (sequence parallel or not) share."""

    def __init__(self, pricer: Pricer) -> None:
        self.pricer = pricer
        self.exchanges: dict[object, list[Exchange | InputError]] = {}
        self._recorders: dict[object, Recorder] = {}
        self._reduced: dict[object, Reduced] = {}
        self._sends: dict[object, float] = {}

    def exchange(
        self, layout: Plan, variant: Variant, once: bool, composition: Composition, parts: Stages
    ) -> Exchange | InputError:
        """Of a plan of which micro-batches pass `once` or more often (how often does not matter), or why none."""
        way = (variant.sharding, variant.order)
        try:
            if (way, once) not in self._recorders:
                self._recorders[way, once] = Recorder.of(self.pricer, variant.of(layout))
            known = self._reduced.setdefault(way, Reduced({}, {}))
            return Exchange(self._recorders[way, once], composition, parts, known)
        except InputError as error:
            return error

    def send(self, recorder: Recorder, nbytes: float, split: bool) -> float:
        """Seconds of a message of a micro-batch to the next stage."""
        if recorder.plan.pipeline == 1:
            return 0.0
        key = (recorder.plan.order, nbytes, split)
        if key not in self._sends:
            self._sends[key] = recorder.message(nbytes, split).seconds
        return self._sends[key]


class Columns:
    """The plans of one model, by composition."""

    def __init__(self, pricer: Pricer) -> None:
        self.pricer = pricer
        self.refused: InputError | None = None  # why the last plan was left out
        self._layers: dict[Shard, dict[int, Layers]] = {}  # by sub-batch
        self._cells: dict[int, tuple[Sequence[Variant], list[Cell]]] = {}  # by identity of the list, held here
        self._held: dict[object, int] = {}  # parameters of all layers → their number
        self._shapes: dict[object, int] = {}  # names and counts of all layers → their number
        self._compositions: dict[object, Composition | None] = {}
        self._parts: dict[object, Stages] = {}
        self._ranks: dict[object, Ranks] = {}  # by degrees (sequence parallel or not)

    def add(self, layout: Plan, variants: Sequence[Variant], place: int) -> None:
        """Plans of one set of degrees as rows, numbered from `place`; those the model cannot take are left out."""
        if id(variants) not in self._cells:
            self._cells[id(variants)] = variants, cells(variants)
        ranks = self._ranks.setdefault(tuple([getattr(layout, axis) for axis in DEGREES]), Ranks(self.pricer))
        known = self._layers.setdefault(shard_of(layout), {})
        for cell in self._cells[id(variants)][1]:
            sub_batch, chunks = cell.variants[0][:2]
            held = self._stages(layout, known, sub_batch, chunks)
            if held is None:
                continue
            layers, composition, parts = held
            passes = layout.global_batch // (sub_batch * layout.data)
            key = (layers.held, chunks, passes <= 1, cell.kinds.ways)
            if key not in ranks.exchanges:
                of = [cell.variants[members[0]] for members in cell.kinds.members]
                ranks.exchanges[key] = [ranks.exchange(layout, v, passes <= 1, composition, parts) for v in of]
            exchanges = [found for found in ranks.exchanges[key] if isinstance(found, Exchange)]
            if len(exchanges) < len(cell.kinds.ways):
                cell = self._without(cell, ranks.exchanges[key])
            if exchanges:
                composition.runs.append(Run(place, cell, layers, exchanges, max(1, passes), layout, ranks))

    def weighed(self, tight: bool) -> dict[int, Candidate]:
        """Every plan that can be priced, by its number; `tight`: its bound with messages and transfers."""
        found: dict[int, Candidate] = {}
        for composition in self._compositions.values():
            if composition is not None and composition.runs:
                found |= composition.weighed(self, tight)
        return found

    def tight(self, candidate: Candidate) -> float | None:
        """The bound of a plan that fits, with messages and transfers; None (and why) where they cannot be priced."""
        if candidate.row is None:
            return candidate.least_s
        composition, run = candidate.row
        exchange = run.exchanges[run.cell.kinds.ways.index((candidate.variant.sharding, candidate.variant.order))]
        timed = self.timed(run, exchange, [candidate.variant], True)
        return None if timed is None else float(composition.least([timed])[0])

    def _made(self, layers: tuple[Layer, ...]) -> Layers:
        """Layers with the numbers of what they hold and of how they follow each other."""
        parameters = tuple((tuple(map(self._held_as, x.parameters)), x.kind, x.count, x.updated) for x in layers)
        shape = tuple((x.name, x.kind, x.count) for x in layers)
        held = self._held.setdefault(parameters, len(self._held))
        return Layers(layers, held, self._shapes.setdefault(shape, len(self._shapes)))

    def _held_as(self, parameter: Parameter) -> object:
        """What of a parameter its memory and exchange ask for: the touched rows where these alone are updated."""
        rows = parameter.sparse_rows if self.pricer.numerics.optimizer in BY_ROWS else 0
        return parameter.elements, parameter.reduce_axis, parameter.copy_elements, parameter.row_elements, rows

    def _stages(
        self, layout: Plan, known: dict[int, Layers], sub_batch: int, chunks: int
    ) -> tuple[Layers, Composition, Stages] | None:
        """Of a plan; None where the model cannot be cut so, or the stages cannot be filled."""
        if sub_batch not in known:
            try:
                known[sub_batch] = self._made(self.pricer.layers_of(sub_batch, shard_of(layout)))
            except InputError:
                return None
        layers = known[sub_batch]
        shape = (layout.pipeline, chunks, layers.shape)
        if shape not in self._compositions:
            plan = replace(layout, virtual_stages=chunks)
            try:
                self._compositions[shape] = Composition(layers.layers, plan, assign(layers.layers, plan))
            except InputError:
                self._compositions[shape] = None
        composition = self._compositions[shape]
        if composition is None:
            return None
        key = (layers.held, id(composition))
        if key not in self._parts:
            self._parts[key] = composition.parts(layers)
        return layers, composition, self._parts[key]

    def _without(self, cell: Cell, exchanges: Sequence[Exchange | InputError]) -> Cell:
        """A cell without the plans that have no exchange."""
        kept: list[int] = []
        for members, exchange in zip(cell.kinds.members, exchanges, strict=True):
            if isinstance(exchange, InputError):
                self.refused = exchange
            else:
                kept += members
        kept.sort()
        variants = [cell.variants[k] for k in kept]
        return Cell([cell.places[k] for k in kept], variants, Kinds.of(variants))

    def timed(self, run: Run, exchange: Exchange, variants: Sequence[Variant], tight: bool) -> Timed | None:
        """What passes of plans take, and their messages and transfers (`tight`); None (and why) where they cannot be
        priced."""
        send_s, transfers, after_s = 0.0, exchange.none, 0.0
        try:
            if tight:
                transfers, after_s = exchange.timed
                send_s = run.ranks.send(exchange.recorder, run.layers.output, run.layout.sequence_parallel)
            else:
                _ = exchange.level  # groups that do not fit are refused
            seconds = run.layers.seconds(self.pricer, exchange.recorder, variants)
            return Timed(len(variants), run.passes, *seconds, send_s, transfers, after_s, exchange.every_pass)
        except InputError as error:
            self.refused = error
            return None
