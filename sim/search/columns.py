"""Bytes and bounds of many plans at once: columns in, columns out.

Plans of one composition (which layers each kind of stage holds) add up the same way what their layers keep and take, so
that a row of a plan holds only numbers of what it shares with others: a set of layers (sub-batch and degrees inside
them), a policy of recomputation, an exchange of parameters (sharding and groups). Each of these is asked once of the
room that knows it; the sums over chunks and layers, and the greatest of the stages, are numpy's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.device.records import Accelerator
from sim.errors import InputError
from sim.network import level_of
from sim.ops import Collective
from sim.plan.candidates import Variant
from sim.plan.groups import Groups
from sim.plan.layout import Assigned, Part, assign
from sim.plan.memory import copied_for_update, exchanged, in_flight, messages, overhead, state
from sim.plan.prepare import Recorder, Reduced
from sim.plan.pricing import Pricer, shard_of
from sim.plan.records import DEGREES, Plan, Sharding
from sim.plan.step_record import Way
from sim.workload.records import Layer, OptimizerName, Parameter, Policy, Recompute, Shard

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
        self._plans: dict[bool, Plan] = {}  # whether gradients are flattened after every pass → such a plan
        self._seconds: dict[object, Floats] = {}

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
        self, pricer: Pricer, layout: Plan, variants: Sequence[Variant], groups: Groups
    ) -> Iterator[tuple[Floats, Floats]]:
        """Forward and backward of every layer (s) under each of some policies; plans whose groups inside the layers
        are the same share them."""
        inner = tuple(map(groups.axis, self.axes))
        flat = layout.framework.gradient_passes > 0 and variants[0].sharding in EVERY_PASS
        if flat not in self._plans:
            self._plans[flat] = variants[0].of(layout)
        plan = self._plans[flat]

        def known(way: Way, policy: Policy) -> Floats:
            key = (way, inner, way == Way.BACKWARD and (policy, flat))
            if key not in self._seconds:
                self._seconds[key] = np.array([pricer.seconds(x, way, policy, plan, groups) for x in self.layers])
            return self._seconds[key]

        forward = known(Way.FORWARD, Recompute.NONE)
        return ((forward, known(Way.BACKWARD, variant.recompute)) for variant in variants)


class Alike(NamedTuple):
    """Variants that follow each other in a list from `first` and differ in nothing but recomputation."""

    first: int
    variants: Sequence[Variant]
    policies: tuple[Policy, ...]


Grouped: TypeAlias = list[tuple[tuple[int, int], list[Alike]]]
"""Variants of one list by sub-batch and chunks, then by sharding and order."""


def grouped(variants: Sequence[Variant]) -> Grouped:
    """The variants of a set of degrees, those together that share most."""
    found: Grouped = []
    for cell, several in groupby(enumerate(variants), lambda item: item[1][:2]):
        runs: list[Alike] = []
        for _, same in groupby(several, lambda item: (item[1].sharding, item[1].order)):
            run = list(same)
            kept = [variant for _, variant in run]
            runs.append(Alike(run[0][0], kept, tuple(variant.recompute for variant in kept)))
        found.append((cell, runs))
    return found


class Run(NamedTuple):
    """Plans that differ in nothing but recomputation, numbered from `first`, by what they share with others."""

    first: int
    alike: Alike
    layers: Layers
    exchange: Exchange
    passes: int
    layout: Plan


class Timed(NamedTuple):
    """A plan's passes, seconds of its layers forward and backward, of a message, of the transfers by kind of stage, and
    of what follows the last pass; whether gradients are reduced after every pass."""

    passes: int
    forward: Floats
    backward: Floats
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
        self.runs: list[Run] = []
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

    def kept(self) -> Floats:
        """Activations and workspace at the fullest moment of backward, by plan and kind of stage (see
        `memory.activations`)."""
        flights = self._each([self.flights(run.exchange.recorder.plan, run.passes) for run in self.runs])
        saved = np.concatenate([run.layers.saved(run.alike.policies) for run in self.runs])
        again = self._each([run.layers.saved(NEVER)[0] for run in self.runs]) - saved
        transient = self._each([run.layers.workspace for run in self.runs]) + again
        parts = self.counts * saved[:, None, None, :]
        kept = np.sum(flights * parts.sum(axis=3), axis=2)
        alive = np.where(flights[..., None] > 0.0, parts, 0.0)
        later = np.cumsum(alive[..., ::-1], axis=3)[..., ::-1] - alive  # of the parts after the running one
        moments = np.where(self.counts > 0.0, transient[:, None, None, :] - later, -np.inf)
        fullest = moments.max(axis=(2, 3))
        return np.asarray(kept + np.where(np.isfinite(fullest), fullest, 0.0))

    @cached_property
    def run_of(self) -> NDArray[np.intp]:
        """Of every plan, once all are added."""
        return np.repeat(np.arange(len(self.runs)), [len(run.alike.variants) for run in self.runs])

    def _each(self, columns: Sequence[object]) -> Floats:
        """What runs share, for each of their plans."""
        return np.array(columns)[self.run_of]

    def bytes(self, accelerator: Accelerator) -> Floats:
        """What the fullest device of every plan needs (see `DeviceMemory.needed_bytes`)."""
        plan = self.runs[0].layout
        held = self.counts.sum(axis=1) > 0.0
        outputs = np.array([run.layers.outputs for run in self.runs])
        output = np.where(held, outputs[:, None, :], 0.0).max(axis=2)
        buffers = messages(output, plan) + np.array([run.exchange.buffers for run in self.runs])
        kept, sent = self.kept(), self._each(buffers)
        around = overhead(kept + sent, plan, accelerator)
        fixed = self._each([run.exchange.state for run in self.runs])
        moving = np.maximum(kept, self._each([run.exchange.copied for run in self.runs])) + sent
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

    def weighed(self, columns: Columns, tight: bool) -> dict[int, Candidate]:
        """All plans: memory first, so that one that does not fit is not priced."""
        capacity = columns.pricer.accelerator.memory.capacity_bytes
        found: dict[int, Candidate] = {}
        timed: list[Timed] = []
        fitting: list[tuple[int, Run, Variant, float]] = []
        needs = iter(self.bytes(columns.pricer.accelerator).tolist())
        for run in self.runs:
            able = []
            for number, (variant, need) in enumerate(zip(run.alike.variants, needs, strict=False), run.first):
                if need <= capacity:
                    able.append((number, run, variant, need))
                else:
                    found[number] = Candidate(run.layout, variant, need, capacity, None)
            seconds = columns.timed(run, [variant for _, _, variant, _ in able], tight) if able else []
            fitting += able[: len(seconds)]
            timed += seconds
        least = self.least(timed).tolist() if timed else []
        for (number, run, variant, need), bound in zip(fitting, least, strict=True):
            row = None if tight else (self, run)
            found[number] = Candidate(run.layout, variant, need, capacity, bound, row)
        return found


class Exchange:
    """What plans of one sharding, composition and rank order hold of weights and exchange, by kind of stage."""

    def __init__(self, pricer: Pricer, plan: Plan, composition: Composition, parts: Stages, known: Reduced) -> None:
        self.recorder = Recorder.of(pricer, plan)
        self.composition, self.parts, self.known = composition, parts, known
        self.every_pass = plan.sharding in EVERY_PASS
        numerics, groups = pricer.numerics, self.recorder.groups
        self.state = [sum(state(chunks, plan, numerics, groups, 0.0).values()) for chunks in self.parts]
        self.copied = [copied_for_update(chunks, plan, groups, 0.0) for chunks in self.parts]
        self.buffers = [exchanged(chunks, plan, numerics) for chunks in self.parts]
        self.none = (0.0,) * len(self.parts)  # as many seconds of transfers
        self._sends: dict[tuple[float, bool], float] = {}

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


Shared: TypeAlias = dict[object, Exchange | None]
"""By order and sharding; None where it cannot be priced."""


class Columns:
    """The plans of one model, by composition."""

    def __init__(self, pricer: Pricer) -> None:
        self.pricer = pricer
        self.refused: InputError | None = None  # why the last plan was left out
        self._layers: dict[Shard, dict[int, Layers]] = {}  # by sub-batch
        self._grouped: dict[int, tuple[Sequence[Variant], Grouped]] = {}  # by identity of the list, held here
        self._held: dict[object, int] = {}  # parameters of all layers → their number
        self._shapes: dict[object, int] = {}  # names and counts of all layers → their number
        self._compositions: dict[object, Composition | None] = {}
        self._parts: dict[object, Stages] = {}
        # by degrees (sequence parallel or not): exchanges, and what is reduced in those of one sharding and order
        self._exchanges: dict[object, tuple[dict[object, Shared], dict[object, Reduced]]] = {}

    def add(self, layout: Plan, variants: Sequence[Variant], place: int) -> None:
        """Plans of one set of degrees as rows, numbered from `place`; those the model cannot take are left out."""
        if id(variants) not in self._grouped:
            self._grouped[id(variants)] = variants, grouped(variants)
        degrees = tuple(getattr(layout, axis) for axis in DEGREES)
        exchanges, reduced = self._exchanges.setdefault(degrees, ({}, {}))
        known_layers = self._layers.setdefault(shard_of(layout), {})
        for (sub_batch, chunks), runs in self._grouped[id(variants)][1]:
            cell = self._cell(layout, known_layers, sub_batch, chunks)
            if cell is None:
                continue
            layers, composition, parts, passes = cell
            shared = exchanges.setdefault((layers.held, chunks, passes <= 1), {})
            for alike in runs:
                variant = alike.variants[0]
                key = (variant.order, variant.sharding)
                if key not in shared:
                    known = reduced.setdefault(key, Reduced({}, {}))
                    shared[key] = self._exchange(variant.of(layout), composition, parts, known)
                exchange = shared[key]
                if exchange is not None:
                    run = Run(place + alike.first, alike, layers, exchange, max(1, passes), layout)
                    composition.runs.append(run)

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
        timed = self.timed(run, [candidate.variant], True)
        return float(composition.least(timed)[0]) if timed else None

    def _made(self, layers: tuple[Layer, ...]) -> Layers:
        """Layers with the numbers of what they hold and of how they follow each other."""
        parameters = tuple((tuple(map(self._held_as, x.parameters)), x.kind, x.count, x.updated) for x in layers)
        shape = tuple((x.name, x.kind, x.count) for x in layers)
        held = self._held.setdefault(parameters, len(self._held))
        return Layers(layers, held, self._shapes.setdefault(shape, len(self._shapes)))

    def _held_as(self, parameter: Parameter) -> object:
        """What of a parameter its memory and exchange ask for: the touched rows where these alone are updated."""
        rows = parameter.sparse_rows if self.pricer.numerics.optimizer == OptimizerName.SGD else 0
        return parameter.elements, parameter.reduce_axis, parameter.copy_elements, parameter.row_elements, rows

    def _cell(self, layout: Plan, known: dict[int, Layers], sub_batch: int, chunks: int) -> Cell | None:
        """Of a plan; None where the model cannot be cut so, or the stages cannot be filled."""
        if sub_batch not in known:
            try:
                known[sub_batch] = self._made(self.pricer.layers_of(sub_batch, shard_of(layout)))
            except InputError:
                return None
        layers = known[sub_batch]
        shape = (layout.pipeline, chunks, layers.shape)
        if shape not in self._compositions:
            try:
                parts = assign(layers.layers, replace(layout, virtual_stages=chunks))
                self._compositions[shape] = Composition(layers.layers, parts)
            except InputError:
                self._compositions[shape] = None
        composition = self._compositions[shape]
        if composition is None:
            return None
        key = (layers.held, id(composition))
        if key not in self._parts:
            self._parts[key] = composition.parts(layers)
        passes = layout.global_batch // (sub_batch * layout.data)
        return layers, composition, self._parts[key], passes

    def _exchange(self, plan: Plan, composition: Composition, parts: Stages, known: Reduced) -> Exchange | None:
        try:
            return Exchange(self.pricer, plan, composition, parts, known)
        except InputError as error:
            self.refused = error
            return None

    def timed(self, run: Run, variants: Sequence[Variant], tight: bool) -> list[Timed]:
        """What passes of plans take, and their messages and transfers (`tight`); none (and why) where they cannot be
        priced."""
        exchange = run.exchange
        send_s, transfers, after_s = 0.0, exchange.none, 0.0
        try:
            if tight:
                transfers, after_s = exchange.timed
                send_s = exchange.send(run.layers, run.layout.sequence_parallel)
            else:
                _ = exchange.level  # groups that do not fit are refused
            seconds = run.layers.seconds(self.pricer, run.layout, variants, exchange.recorder.groups)
            return [Timed(run.passes, *each, send_s, transfers, after_s, exchange.every_pass) for each in seconds]
        except InputError as error:
            self.refused = error
            return []
