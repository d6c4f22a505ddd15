"""Scale of the network room: ratios to a calibration loop, memory and growth; no seconds are asserted.

A job is compared with a plain Python loop over a million numbers on the same machine (20 to 35 ms on the 2-core machine
the goals, 50 and 80 ms, were set on).
"""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from sim.network import Cluster, Communicator, Group, Level, LinkType, schedule, solve, topology
from sim.network.composed import Composed
from sim.network.levels import Floats, Ints
from sim.network.load import Loads
from sim.network.schedules import reversed_bits
from sim.ops import CollectiveKind

NVLINK = LinkType("nvlink", 450e9, 1e-6)
NDR = LinkType("ndr", 50e9, 2e-6)
TORI = {4096: (16, 16, 16), 65536: (32, 32, 64)}


def fat_tree(n: int) -> Cluster:
    levels = (Level("node", "switch", (8,), NVLINK), Level("net", "fat_tree", (n // 8,), NDR))
    return Cluster("fat tree", "test", n, levels)


def torus(n: int) -> Cluster:
    return Cluster("torus", "test", n, (Level("ici", "torus", TORI[n], NVLINK),))


def ring(n: int) -> Cluster:
    return Cluster("ring", "test", n, (Level("ring", "ring", (n,), NVLINK),))


def cpu(job: Callable[[], object], times: int = 5) -> float:
    """Least processor time of several runs (s)."""
    best = math.inf
    for _ in range(times):
        start = time.process_time()
        job()
        best = min(best, time.process_time() - start)
    return best


def calibration() -> float:
    return cpu(lambda: sum(i for i in range(1_000_000)))


def price(cluster: Cluster, algorithm: str, kind: CollectiveKind = "all_reduce") -> Callable[[], object]:
    return lambda: Communicator(cluster).cost(kind, Group(cluster.devices), algorithm)


#: CPU goals of the design as multiples of the calibration loop.
JOBS = [(fat_tree, "ring", 2.0), (torus, "torus", 3.0), (fat_tree, "hierarchical", 3.0)]


@pytest.mark.speed
@pytest.mark.parametrize(("cluster", "algorithm", "most"), JOBS)
def test_all_reduce_on_65536_devices_in_time(cluster: Callable[[int], Cluster], algorithm: str, most: float) -> None:
    """Topology and price, cold, as a multiple of the calibration loop."""
    assert cpu(price(cluster(65536), algorithm)) < most * calibration()


@pytest.mark.parametrize(("cluster", "algorithm"), [job[:2] for job in JOBS])
def test_all_reduce_on_65536_devices(cluster: Callable[[int], Cluster], algorithm: str) -> None:
    """Topology and price, cold: at most 64 MB."""
    tracemalloc.start()
    price(cluster(65536), algorithm)()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6


def work(cluster: Cluster, algorithm: str) -> int:
    """Numbers a price touches: links built, links of every route, and links once per set of flows that loads them."""
    touched = 0
    with pytest.MonkeyPatch.context() as patch:
        routes, add = Composed.routes, Loads.add

        def counted_routes(self: Composed, src: Ints, dst: Ints, seed: int | None = None) -> Ints:
            nonlocal touched
            found = routes(self, src, dst, seed)
            touched += found.size + src.size
            return found

        def counted_add(self: Loads, src: Ints, dst: Ints, share: float | Floats, seed: int | None = None) -> float:
            nonlocal touched
            touched += self.load.size
            return add(self, src, dst, share, seed)

        patch.setattr(Composed, "routes", counted_routes)
        patch.setattr(Loads, "add", counted_add)
        communicator = Communicator(cluster)
        communicator.cost("all_reduce", Group(cluster.devices), algorithm)
    return touched + communicator.topology.L


@pytest.mark.parametrize(("cluster", "algorithm"), [job[:2] for job in JOBS])
def test_work_grows_like_the_devices(cluster: Callable[[int], Cluster], algorithm: str) -> None:
    """From 4,096 to 65,536 devices: exponent at most 1.1, counted, so that no timer blurs it."""
    growth = math.log(work(cluster(65536), algorithm) / work(cluster(4096), algorithm), 16)
    assert growth <= 1.1


@pytest.mark.speed
@pytest.mark.parametrize(("cluster", "goal"), [(fat_tree, 0.2), (torus, 0.2), (ring, 0.2)])
def test_all_to_all_on_65536_devices_in_time(cluster: Callable[[int], Cluster], goal: float) -> None:
    """Counted, not routed: 0.2 s on the 2-core machine, as a ratio."""
    assert cpu(price(cluster(65536), "direct", "all_to_all"), 2) < goal / 0.02 * calibration()


@pytest.mark.parametrize("cluster", [fat_tree, torus, ring])
def test_all_to_all_on_65536_devices(cluster: Callable[[int], Cluster]) -> None:
    """Counted, not routed: at most 128 MB."""
    job = price(cluster(65536), "direct", "all_to_all")
    tracemalloc.start()
    job()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 128e6


@pytest.mark.speed
def test_a_million_sizes_are_one_array() -> None:
    """10⁶ sizes of one collective: a few array operations."""
    communicator = Communicator(fat_tree(8192))
    sizes = np.linspace(1.0, 1e9, 1_000_000)
    communicator.times("all_reduce", sizes[:1], Group(8192))
    assert cpu(lambda: communicator.times("all_reduce", sizes, Group(8192))) < calibration()


@pytest.mark.parametrize(("ranks", "least"), [(np.arange(4096), 1.1), (reversed_bits(4096), 3.0)], ids=["near", "far"])
def test_hash_ecmp_halving_doubling_on_4096_devices(ranks: Ints, least: float) -> None:
    """Hashed paths collide, static ones do not: a little slower if the large messages stay inside a leaf, several times
    if the ranks lie so that they leave it; the same again for the same seed."""
    net = topology(Cluster("leaf–spine", "test", 4096, (Level("net", "fat_tree", (4096,), NDR, options={"leaf": 32}),)))
    plan = schedule("halving_doubling", "all_reduce", ranks.tolist(), 1e9)
    static, hashed, again, other = (solve(plan, net, seed) for seed in (None, 1, 1, 2))
    assert static == pytest.approx(2 * (4095 / 4096) * 1e9 / 50e9, rel=0.01)
    assert hashed > least * static
    assert hashed == again != other
