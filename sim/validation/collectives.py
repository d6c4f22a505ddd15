"""Published collective measurements against the network model, and the calibration of link types on them.

A row of `scenarios/published/collectives.csv` becomes a cluster of two levels (node, fabric) by the rules of the YAML
beside it.  Constants belong to *families* of link types (all NVLink generations, all RDMA cards …): one efficiency;
inside a node the launch of a collective, between nodes the latency a card adds, as the thread that serves it; and for
switches that reduce one share of what NCCL expects of the generation.  That is the generation law: a type seen in no
other system is predicted from its family.  Two constants of the low-latency protocol hold for every family.  A launch
is a kernel's, whatever it sends over: cards have that of NVLink.

`calibrate` is a function of the rows it is given, so leaving a system out is one call with the other rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean, median
from typing import Final, cast, get_args

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.files.clusters import load_links
from sim.network import Cluster, CollectiveCost, Communicator, Group, Level, LinkType
from sim.ops import CollectiveKind
from sim.records import dataclass
from sim.study.collective_sweep import bus_bytes
from sim.validation.validation import Outcome, Request, ValidationSet, percentile, requests

Floats = NDArray[np.float64]

LARGE_BYTES: Final = 256 * 2**20
SMALL_BYTES: Final = 2**20
FIT_BYTES: Final = 64 * 2**10  # smaller messages measure the host, not the links

#: Family of a link type, by the beginning of its name.
FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "nvlink": ("nvlink",),
    "xgmi": ("xgmi",),
    "pcie": ("pcie",),
    "rdma": ("infiniband", "roce"),
    "efa": ("efa",),
    "tcp": ("tcp",),
    "omnipath": ("omnipath",),
}

#: Families that join nodes.
CARDS: Final = ("rdma", "efa", "tcp", "omnipath")

#: Where the fit starts and what a family without rows keeps: (efficiency, launch s or latency of a link s, reduction).
#: Efficiencies: NVLink p2p 0.88 less protocol, NCCL's own 0.8; RDMA 0.95 of line rate; sockets 0.8.  Latencies: a step
#: over a network takes 14 us (NCCL 2.18 to 2.30 tuning.cc, ring, Simple protocol), over two links; EFA twice that of
#: InfiniBand (recalled); sockets 50 us end to end (mlsysim).
PRIOR: Final[Mapping[str, tuple[float, float, float]]] = {
    "nvlink": (0.80, 100e-6, 1.0),
    "xgmi": (0.80, 100e-6, 0.0),
    "pcie": (0.77, 100e-6, 0.0),
    "rdma": (0.95, 7e-6, 0.0),
    "efa": (0.95, 21e-6, 0.0),
    "tcp": (0.80, 25e-6, 0.0),
    "omnipath": (0.20, 7e-6, 0.0),
}
#: Share of the raw rate that NCCL expects of a reduction in the switch: rate of a link (Hopper 20.6 of 25 GB/s,
#: Blackwell 40.1 of 50; NCCL 2.30.3 topo.h) · efficiency (0.85, 0.74; tuning.cc) · (channels - 1)/channels (16, 32;
#: nvls.cc).
EXPECTED: Final = {"nvlink4": 0.657, "nvlink5": 0.575, "nvlink6": 0.575}
#: Low-latency protocol: latency and launch, payload rate, relative to the normal one.
PRIOR_FAST: Final = (0.40, 0.45)
_NODE: Final = 8  # devices of a node where a row does not say
_HUGE: Final = 1e9  # stands for a rate without limit
_PRIOR_WEIGHT: Final = 0.3  # residual of one natural logarithm off the prior, against rows


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured all-reduce (or other collective), and the cluster it ran on."""

    system: str
    cluster: Cluster
    kind: CollectiveKind
    nbytes: float
    seconds: float
    suspect: bool = False  # its source warns of it: compared, not fitted

    @property
    def fits(self) -> bool:
        """Whether calibration looks at it."""
        return self.kind == "all_reduce" and self.nbytes >= FIT_BYTES and not self.suspect

    @property
    def between_nodes(self) -> bool:
        return len(self.cluster.levels) > 1


@dataclass(frozen=True, slots=True)
class Constants:
    """What calibration finds: (efficiency, launch s inside a node or latency s between nodes, share of the expected
    reduction) by family; the low-latency protocol."""

    families: Mapping[str, tuple[float, float, float]]
    fast_latency: float
    fast_bandwidth: float

    def apply(self, link: LinkType) -> LinkType:
        """`link` with the constants of its family."""
        name = family(link.name)
        if name is None:
            return link
        efficiency, seconds, reduction = self.families[name]
        card = name in CARDS
        return replace(
            link,
            efficiency=efficiency,
            base_s=self.families["nvlink"][1] if card else seconds,
            latency_s=seconds if card else link.latency_s,
            reduction_efficiency=(reduction or efficiency) * expected(link) if link.in_network_reduction else 0.0,
            fast_latency=self.fast_latency,
            fast_bandwidth=self.fast_bandwidth,
        )


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Mean absolute relative error in time of one system, left out of the fit; and of the null model."""

    system: str
    rows: int
    large: float | None  # rows of at least 256 MiB
    above_mib: float | None  # rows of at least 1 MiB
    null_large: float | None
    null_above_mib: float | None


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """Every system's error when it is left out, and the median and 90th percentile over systems."""

    systems: tuple[HeldOut, ...]

    def over_systems(self, what: str) -> tuple[float, float]:
        """(median, 90th percentile) over systems of `large`, `above_mib`, `null_large` or `null_above_mib`."""
        values = sorted(v for s in self.systems if (v := getattr(s, what)) is not None)
        return (median(values), percentile(values, 0.9)) if values else (math.nan, math.nan)


def family(link: str) -> str | None:
    """Calibration family of a link type, None if it has none."""
    return next((name for name, heads in FAMILIES.items() if link.startswith(heads)), None)


def expected(link: LinkType) -> float:
    """What `EXPECTED` says of the generation, variants included; 1 where reductions are as fast as all else."""
    return EXPECTED.get(link.name.partition("-")[0], 1.0)


def cluster_of(fields: Mapping[str, object]) -> Cluster:
    """The cluster a row's fields describe: `nodes`, `node.size/link/topology`, `fabric.link/nics/topology`."""
    links = load_links()
    nodes, size = int(cast(int, fields["nodes"])), int(cast(int, fields["node.size"]))
    levels = [Level("node", str(fields["node.topology"]), (size,), links[str(fields["node.link"])])]
    if nodes > 1:
        nics = float(cast(float, fields["fabric.nics"]))
        levels.append(
            Level("fabric", str(fields["fabric.topology"]), (nodes,), links[str(fields["fabric.link"])], nics)
        )
    return Cluster("row", "", nodes * size, tuple(levels))


def sample(request: Request, template: Mapping[str, object]) -> Sample | str:
    """What a request of the published set asks to simulate; a text says why it cannot be expressed."""
    row, fields = request.row, {**template, **request.overrides}
    kind = fields.get("kind")
    if kind not in get_args(CollectiveKind):
        return f"collective {row.get('collective', '')!r} is not known"
    nbytes = fields.get("bytes")
    if not isinstance(nbytes, int | float):
        return f"size {row.get('size_bytes', '')!r} is not a number"
    if "node.link" not in fields:
        return f"accelerator {row.get('accelerator', '')!r} is not known"
    try:
        devices = int(row.get("n_gpus") or 0)
        several = devices > _NODE and devices % _NODE == 0 and "node.size" not in fields
        fields.setdefault("nodes", row.get("nodes") or (devices // _NODE if several else 1))
        nodes = int(cast(int, fields["nodes"]))
        if nodes < 1:
            return f"{nodes} nodes hold no device"
        fields["nodes"] = nodes
        fields.setdefault("node.size", devices // nodes if devices else _NODE)
        if devices and fields["node.size"] == devices:
            fields["nodes"] = 1
        cluster = cluster_of(fields)
    except (KeyError, ValueError, OverflowError, ZeroDivisionError) as error:
        return f"cannot be expressed as a cluster: {error}"
    if cluster.devices < 2:
        return "needs at least two devices"
    seconds = request.measured or 0.0
    if request.measure is not None and request.measure.field != "seconds" and request.measured:
        seconds = bus_bytes(cast(CollectiveKind, kind), float(nbytes), cluster.devices) / request.measured
    suspect = bool(fields.get("suspect"))
    return Sample(request.group, cluster, cast(CollectiveKind, kind), float(nbytes), seconds, suspect)


def simulate_row(request: Request, template: Mapping[str, object]) -> Outcome | str:
    """Predicted time and bus bandwidth of one row, with the constants of the library (`hardware/links.yaml`)."""
    found = sample(request, template)
    if isinstance(found, str):
        return found
    try:
        seconds = Communicator(found.cluster).time(found.kind, found.nbytes, Group(found.cluster.devices))
    except InputError as error:
        return str(error)
    bus = bus_bytes(found.kind, found.nbytes, found.cluster.devices)
    fields = {"seconds": seconds, "step_time_s": seconds, "busbw_bytes_per_s": bus / seconds}
    return Outcome(fields, _null_class(found), _null_seconds(found), 1.0, True)


def _null_class(row: Sample) -> str:
    return "between nodes" if row.between_nodes else "inside a node"


def _null_seconds(row: Sample) -> float:
    """Bus bytes over the raw bandwidth of what joins the devices: a device's link, or all network cards of a node."""
    level = row.cluster.levels[-1]
    raw = level.link.bandwidth * (level.nics or 1.0)
    return bus_bytes(row.kind, row.nbytes, row.cluster.devices) / raw


class Prices:
    """Costs of samples as arrays: seconds = min over algorithms of hops + Σ links·latency + launch + bytes · max over
    families of coefficient / efficiency.  Coefficients come from the Communicator itself, a family at a time."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = tuple(samples)
        self.names = tuple(PRIOR)
        self.bytes = np.array([s.nbytes for s in samples])
        self.log_seconds = np.log([s.seconds for s in samples])
        tables = {key: _table(s.cluster, self.names) for key, s in {_key(s): s for s in samples}.items()}
        width = max((len(t[0]) for t in tables.values()), default=0)
        self.hops = np.full((len(samples), width), np.inf)
        self.load = np.zeros((len(samples), width, 3 * len(self.names)))
        self.uses = np.zeros((len(samples), len(self.names)))
        for i, s in enumerate(samples):
            hops, load, uses = tables[_key(s)]
            self.hops[i, : len(hops)] = hops
            self.load[i, : len(hops)] = load
            self.uses[i] = uses

    def seconds(self, x: Floats) -> Floats:
        """Predicted times; x = logs of efficiencies, reductions, launches or latencies, fast latency, fast rate."""
        k = len(self.names)
        share, delay, (latency, rate) = np.exp(x[: 2 * k]), np.exp(x[2 * k : 3 * k]), np.exp(x[3 * k :])
        per_byte = (self.load[:, :, : 2 * k] / share).max(axis=2)
        fixed = self.hops + self.load[:, :, 2 * k :] @ delay + (self.uses * delay).max(axis=1)[:, None]
        stream = per_byte * self.bytes[:, None]
        times = np.minimum(fixed + stream, fixed * latency + stream / rate)
        return np.asarray(times.min(axis=1))

    def pick(self, keep: NDArray[np.bool_]) -> Prices:
        """The samples where `keep` holds."""
        part = object.__new__(Prices)
        part.names = self.names
        part.samples = tuple(s for s, k in zip(self.samples, keep, strict=True) if k)
        for name in ("bytes", "log_seconds", "hops", "load", "uses"):
            setattr(part, name, getattr(self, name)[keep])
        return part


def _key(row: Sample) -> tuple[object, ...]:
    """What tells the clusters of two samples apart."""
    return tuple((level.topology, level.sizes, level.link.name, level.nics) for level in row.cluster.levels)


def _table(cluster: Cluster, names: Sequence[str]) -> tuple[list[float], list[list[float]], list[float]]:
    """(latencies inside nodes, coefficients, families whose launch counts) of every candidate of an all-reduce.  Of a
    family the coefficients are seconds per byte, the same of its reductions, and links of cards passed one by one."""
    group, k = Group(cluster.devices), len(names)
    known: dict[Cluster, list[CollectiveCost]] = {}  # a family the cluster has none of changes nothing

    def costs(column: int) -> list[CollectiveCost]:
        probe = _probe(cluster, names, column)
        if probe not in known:
            found = Communicator(probe).costs("all_reduce", group)
            known[probe] = [cost for cost in found if "/" not in cost.algorithm]
        return known[probe]

    plain = costs(-1)
    hops, loads = [c.fixed_s for c in plain], [list[float]() for _ in plain]
    for column in range(3 * k):
        for i, cost in enumerate(costs(column)):
            links = float(round(cost.fixed_s - plain[i].fixed_s)) if column >= 2 * k else 0.0
            loads[i].append(links or (cost.per_byte_s if cost.per_byte_s > 1e-18 and column < 2 * k else 0.0))
            hops[i] -= links
    used = {name if name not in CARDS else "nvlink" for level in cluster.levels if (name := family(level.link.name))}
    return hops, loads, [1.0 if name in used else 0.0 for name in names]


def _probe(cluster: Cluster, names: Sequence[str], column: int) -> Cluster:
    """The cluster without launch costs, where only one family's payload (or reduction) rate is finite, and every card
    takes a second a link, or those of one family two."""
    levels, k = [], len(names)
    for level in cluster.levels:
        name = family(level.link.name)
        own = name is not None and column >= 0 and names.index(name) == column % k
        reduces = name is not None and bool(PRIOR[name][2])
        payload = 1.0 if own and column < k else _HUGE
        reduction = expected(level.link) if own and column < 2 * k and (column >= k) == reduces else _HUGE
        link = replace(
            level.link,
            base_s=0.0,
            latency_s=1.0 + (own and column >= 2 * k) if name in CARDS else level.link.latency_s,
            bandwidth=level.link.bandwidth * _HUGE,
            efficiency=payload / _HUGE,
            fast_bandwidth=0.0,
            reduction_efficiency=reduction / _HUGE if level.link.in_network_reduction else 0.0,
        )
        levels.append(replace(level, link=link))
    return replace(cluster, levels=tuple(levels))


def calibrate(samples: Sequence[Sample]) -> Constants:
    """Constants of every family from all-reduce rows: robust least squares on log time, each system of equal weight,
    with the prior as weak rows (a family without rows keeps it)."""
    return _constants(_fit(Prices([s for s in samples if s.fits])))


def _start() -> Floats:
    rows = list(PRIOR.values())
    share = [r[0] for r in rows] + [r[2] or 1.0 for r in rows]
    return np.log([*share, *(r[1] for r in rows), *PRIOR_FAST])


def _fit(prices: Prices) -> Floats:
    from scipy.optimize import least_squares  # noqa: PLC0415  450 ms of start-up, needed only to calibrate

    start = _start()
    systems = [s.system for s in prices.samples]
    weight = np.array([systems.count(s) ** -0.5 for s in systems])

    def residuals(x: Floats) -> Floats:
        rows = weight * (np.log(prices.seconds(x)) - prices.log_seconds)
        return np.concatenate([rows, _PRIOR_WEIGHT * (x - start)])

    upper = np.full(len(start), np.inf)
    upper[: 2 * len(prices.names)] = 1e-9  # nothing carries more than its raw rate
    upper[-2:] = 1e-9
    found = least_squares(residuals, np.minimum(start, -1e-6), loss="soft_l1", f_scale=0.2, bounds=(-np.inf, upper))
    return np.asarray(found.x)


def _constants(x: Floats) -> Constants:
    names = tuple(PRIOR)
    k, value = len(names), np.exp(x)
    table = {
        name: (float(value[i]), float(value[2 * k + i]), float(value[k + i]) if PRIOR[name][2] else 0.0)
        for i, name in enumerate(names)
    }
    return Constants(table, float(value[-2]), float(value[-1]))


def leave_one_system_out(samples: Sequence[Sample], training: Sequence[Sample] | None = None) -> LeaveOneOut:
    """Fit on all systems of `training` (default: the samples) but one, predict that one; beside it the null model: bus
    bytes over raw bandwidth times one constant inside and one between nodes, the median of the other systems' rows."""
    rows = [s for s in samples if s.kind == "all_reduce"]
    known = rows if training is None else [s for s in training if s.kind == "all_reduce"]
    prices, fit = Prices(rows), [s for s in known if s.fits]
    fitted = prices.pick(np.array([s.fits for s in rows], dtype=bool)) if known == rows else Prices(fit)
    results = []
    for system in dict.fromkeys(s.system for s in rows):
        part = prices.pick(np.array([s.system == system for s in rows], dtype=bool))
        measured = np.exp(part.log_seconds)
        others = fitted.pick(np.array([s.system != system for s in fitted.samples], dtype=bool))
        if not others.samples:
            continue  # nothing to fit on
        errors = np.abs(part.seconds(_fit(others)) / measured - 1.0)
        null = np.abs(_null(part.samples, [s for s in known if s.system != system]) / measured - 1.0)
        large, above = part.bytes >= LARGE_BYTES, part.bytes >= SMALL_BYTES
        results.append(
            HeldOut(
                system,
                len(errors),
                large=_mean(errors[large]),
                above_mib=_mean(errors[above]),
                null_large=_mean(null[large]),
                null_above_mib=_mean(null[above]),
            )
        )
    return LeaveOneOut(tuple(results))


def samples_of(spec: ValidationSet, asked: Sequence[Request]) -> list[Sample]:
    """The measured rows that can be expressed."""
    found = (sample(request, spec.template) for request in asked if request.measured and not request.skip)
    return [s for s in found if isinstance(s, Sample)]


def left_out(spec: ValidationSet, asked: Sequence[Request]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Mean absolute error per system (all-reduce from 1 MiB on) with constants fitted on the other systems of the
    library's rows, and sentences with the figures over systems."""
    every = leave_one_system_out(samples_of(spec, asked), samples_of(spec, requests(spec)))
    apart = spec.excluded or {}
    found = LeaveOneOut(tuple(system for system in every.systems if system.system not in apart))
    notes = []
    for size, what, null in (
        ("256 MiB", "large", "null_large"),
        ("1 MiB", "above_mib", "null_above_mib"),
    ):
        (middle, tail), (null_middle, null_tail) = found.over_systems(what), found.over_systems(null)
        count = sum(getattr(system, what) is not None for system in found.systems)
        if count:
            model = f"median {middle:.1%}, 90th percentile {tail:.1%} over {count} systems"
            two = f"two-constant null model {null_middle:.1%}, {null_tail:.1%}"
            notes.append(f"all-reduce from {size}, each system left out in turn: {model}; {two}")
    errors = {s.system: s.above_mib for s in every.systems if s.above_mib is not None}
    return errors, tuple(notes)


def _mean(values: Floats) -> float | None:
    return mean(map(float, values)) if len(values) else None


def _null(rows: Sequence[Sample], others: Sequence[Sample]) -> Floats:
    level = {
        name: median(
            [s.seconds / _null_seconds(s) for s in others if _null_class(s) == name and s.nbytes >= SMALL_BYTES]
        )
        for name in {_null_class(s) for s in rows}
    }
    return np.array([level[_null_class(s)] * _null_seconds(s) for s in rows])
