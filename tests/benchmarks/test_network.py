"""Scale of the network room: memory and growth in the default run; with `-m speed` times, as ratios to a plain Python
loop over a million numbers on the same machine (20 to 35 ms on the 2-core machine the goals were set on)."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from sim.network import Cluster, Communicator, Group, Level, LinkType, schedule, solve, topology
from sim.network.algorithms.halving_doubling import reversed_bits
from sim.network.topologies.base import Ints
from sim.ops import CollectiveKind

NVLINK = LinkType("nvlink", 450e9, 1e-6)
NDR = LinkType("ndr", 50e9, 2e-6)
TORI = {4096: (16, 16, 16), 65536: (32, 32, 64), 1 << 20: (64, 128, 128)}


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


def rail(n: int) -> Cluster:
    levels = (Level("node", "switch", (8,), NVLINK), Level("net", "rail", (n // 8,), NDR))
    return Cluster("rail", "test", n, levels)


def every_candidate(cluster: Cluster) -> np.ndarray:
    """All-reduce of the whole cluster, cold: what a library would choose from, and every link's load."""
    communicator, group = Communicator(cluster), Group(cluster.devices)
    communicator.costs("all_reduce", group)
    return communicator.link_loads("all_reduce", 1e9, group)


def price(cluster: Cluster, algorithm: str, kind: CollectiveKind = "all_reduce") -> Callable[[], object]:
    return lambda: Communicator(cluster).cost(kind, Group(cluster.devices), algorithm)


def peak_bytes(job: Callable[[], object]) -> int:
    tracemalloc.start()
    job()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


SHAPES = (fat_tree, rail, torus, ring)


@pytest.mark.parametrize("cluster", SHAPES)
def test_all_reduce_on_65536_devices_fits_into_64_mb(cluster: Callable[[int], Cluster]) -> None:
    """Topology, every candidate's price and every link's load."""
    assert peak_bytes(lambda: every_candidate(cluster(65536))) < 64e6


@pytest.mark.speed
@pytest.mark.parametrize(("cluster", "loops"), [(fat_tree, 2.5), (rail, 4.0), (torus, 2.0), (ring, 2.0)])
def test_all_reduce_on_65536_devices(cluster: Callable[[int], Cluster], loops: float) -> None:
    """The same in 40 ms on the 2-core machine, two calibration loops, is the goal; flows of rails that cross the inner
    level first are routed one by one, which takes up to twice that."""
    assert cpu(lambda: every_candidate(cluster(65536))) < loops * calibration()


def routed(cluster: Cluster, algorithm: str) -> int:
    """Links of every route that a price asks for."""
    touched = 0
    with pytest.MonkeyPatch.context() as patch:
        for router in {type(each) for each in topology(cluster).routers}:  # type: ignore[attr-defined]
            route = router.route

            def counted(self: object, src: Ints, dst: Ints, key: Ints | None, route: object = route) -> Ints:
                nonlocal touched
                found: Ints = route(self, src, dst, key)  # type: ignore[operator]
                touched += found.size
                return found

            patch.setattr(router, "route", counted)
        Communicator(cluster).cost("all_reduce", Group(cluster.devices), algorithm)
    return touched


@pytest.mark.parametrize(("cluster", "algorithm", "most"), [
    (fat_tree, "ring", 200), (rail, "ring", 3000), (torus, "torus", 100), (torus, "ring", 100),
    (fat_tree, "hierarchical", 200), (fat_tree, "double_binary_tree", 65536),
])  # fmt: skip
def test_few_flows_are_routed_for_65536_devices(cluster: Callable[[int], Cluster], algorithm: str, most: int) -> None:
    """One for all that symmetry maps onto each other; trees one for some of the nodes."""
    assert routed(cluster(65536), algorithm) < most


@pytest.mark.parametrize("cluster", [fat_tree, rail, torus, ring])
def test_a_million_devices_are_not_written_out(cluster: Callable[[int], Cluster]) -> None:
    """Price of every candidate on 2^20 devices: less than six numbers a device."""
    communicator, group = Communicator(cluster(1 << 20)), Group(1 << 20)
    assert peak_bytes(lambda: communicator.costs("all_reduce", group)) < 50e6


@pytest.mark.parametrize(("size", "stride"), [(16384, 8), (8, 1)])
def test_groups_of_a_million_devices_are_looked_at_once(size: int, stride: int) -> None:
    """Data and tensor groups of TP8 × PP8 × DP16384: one of each kind for all that are alike."""
    communicator, group = Communicator(rail(1 << 20)), Group(size, stride)
    assert peak_bytes(lambda: communicator.costs("all_reduce", group)) < 8e6


@pytest.mark.parametrize("cluster", [fat_tree, rail, torus])
def test_experts_of_a_million_devices_exchange_as_one_group_does(cluster: Callable[[int], Cluster]) -> None:
    """An all-to-all among 64 of 2^20 devices, in all 16,384 groups at once."""
    communicator = Communicator(cluster(1 << 20))
    assert peak_bytes(lambda: communicator.costs("all_to_all", Group(64))) < 8e6


@pytest.mark.parametrize("cluster", [fat_tree, torus, ring])
def test_all_to_all_on_65536_devices_fits_into_128_mb(cluster: Callable[[int], Cluster]) -> None:
    """Counted, not routed."""
    assert peak_bytes(price(cluster(65536), "direct", "all_to_all")) < 128e6


@pytest.mark.speed
@pytest.mark.parametrize("cluster", [fat_tree, torus, ring])
def test_all_to_all_on_65536_devices(cluster: Callable[[int], Cluster]) -> None:
    """0.2 s on the 2-core machine."""
    assert cpu(price(cluster(65536), "direct", "all_to_all"), 2) < 10.0 * calibration()


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
