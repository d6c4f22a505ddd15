"""The page docs/performance.md: `python -m tests.benchmarks.performance > docs/performance.md`.

Processor time is the least of several runs, also as a multiple of a bare SimPy loop of 10,000 timeouts on the same
machine at the same moment; memory is the peak that tracemalloc sees, of a first run.
"""

from __future__ import annotations

import csv
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from math import log
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import simpy

from sim.engine import simulate_step
from sim.files import build, document_of
from sim.files.hardware import load_accelerator
from sim.files.models import preset
from sim.network import Communicator, Group, communicator_of
from sim.plan import Plan, prepare
from sim.plan.candidates import layouts, limits_of
from sim.search import search
from sim.search.screen import Screen
from sim.simulation import simulate
from sim.study.screening import DesignScreen
from sim.workload.records import Numerics
from tests.benchmarks.conftest import cpu

PEERS: Final = Path(__file__).parents[1] / "data" / "peers_speed.csv"
NUMERICS: Final = Numerics("bf16", "bf16", "bf16", "fp32", attention="flash")
CHIP: Final = load_accelerator("h100-sxm5-80gb")
TIMEOUTS: Final = 10_000
TOGETHER: Final = 16_384


class Cost(NamedTuple):
    """What a job takes."""

    seconds: float
    ratio: float  # to the bare loop
    peak_bytes: int
    events: int | None = None


def bare_loop() -> None:
    """Timeouts of one process, one after the other."""
    env = simpy.Environment()

    def process() -> Iterator[simpy.Event]:
        for _ in range(TIMEOUTS):
            yield env.timeout(1.0)

    env.process(process())
    env.run()


def cost(job: Callable[[], object], times: int = 3) -> Cost:
    """Of one job."""
    tracemalloc.start()
    found = job()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    seconds = cpu(job, times)
    return Cost(seconds, seconds / cpu(bare_loop), peak, getattr(found, "events", None))


def cluster(devices: int) -> Communicator:
    """DGX H100 systems with that many devices in all."""
    values = {
        "workload": {"family": "gpt2"},
        "cluster": {"extends": "dgx-h100-superpod", "devices": devices},
        "target": {"steps": 1},
    }
    return Communicator(build(document_of(values, "performance")).cluster)


def step(family: str = "gpt3-175b", layers: int = 0, **changes: int) -> Callable[[], object]:
    """A step from plan to time in SimPy: record, program, events."""
    degrees = {"data": 8, "tensor": 8, "pipeline": 8, "passes": 32, "expert": 1} | changes
    passes = degrees.pop("passes")
    model = preset(family, **({"depth": layers} if layers else {}))
    plan = Plan(1, passes * degrees["data"], sequence_parallel=True, **degrees)
    communicator = cluster(plan.devices)
    return lambda: simulate_step(prepare(model, plan, NUMERICS, CHIP, communicator))


def growth() -> Iterator[tuple[str, dict[int, Callable[[], object]]]]:
    """(what grows, jobs by its size)."""
    yield "devices (data ranks)", {64 * n: step(data=n) for n in (8, 64, 512, 4096, 16384)}
    yield "layers of the model", {n: step(layers=n) for n in (24, 96, 384)}
    yield "micro-batches", {n: step(passes=n) for n in (16, 64, 256, 1024)}
    yield "pipeline stages", {n: step(pipeline=n, layers=96, passes=64) for n in (2, 8, 32)}
    yield "experts", {n: step("mixtral-8x7b", pipeline=4, expert=n) for n in (1, 2, 4, 8)}


def jobs() -> Iterator[tuple[str, str, Callable[[], object]]]:
    """(job, goal, what runs)."""
    large = step(data=64, pipeline=16, passes=64)
    yield "step of TP8×PP16×DP64, 64 micro-batches, with its record", "10 ms after set-up", large
    base = {
        "workload": {"family": "gpt3-175b"},
        "cluster": {"extends": "dgx-h100-superpod", "devices": 8192},
        "target": {"steps": 1000},
        "plan": {"tensor": 8, "pipeline": 16, "data": 64, "sub_batch": 1, "global_batch": 4096,
                 "sequence_parallel": True},
    }  # fmt: skip
    scenario = build(document_of(base, "performance"))
    yield "`simulate()`, 8,192 devices, with levers", "40 ms", lambda: simulate(scenario)
    yield "`simulate()`, 8,192 devices, without levers", "12 ms", lambda: simulate(scenario, levers=False)
    resnet = {"workload": {"family": "resnet50"}, "plan": {"sub_batch": 64}, "target": {"steps": 1000}}
    resnet["cluster"] = {"extends": "dgx-h100-superpod", "devices": 1024}
    small = build(document_of(resnet, "performance"))
    yield "`simulate()`, ResNet-50 on 1,024, without levers", "8 ms", lambda: simulate(small, levers=False)
    yield "`simulate()`, 1,048,576 devices, with levers, cold network", "0.5 s, 100 MB", _million()
    yield "all-reduce on 65,536 devices, every candidate and link load, cold", "40 ms, 64 MB", _all_reduce(65536)
    yield "all-reduce on 1,048,576 devices, the same", "", _all_reduce(1 << 20)
    model = preset("gpt3-175b")
    for devices, batch, goal in ((1024, 1536, "0.4 s"), (8192, 3072, "0.6 s"), (65536, 65536, "1.5 s")):
        yield f"plan search, GPT-3 175B on {devices:,}, cold network", goal, _search(model, devices, batch)
    communicator, limits = cluster(1024), limits_of({}, model)

    def screened() -> int:
        return sum(1 for _ in Screen(model, NUMERICS, CHIP, communicator).run(layouts(model, 1024, 1536, limits)))

    for name, family, degrees in (
        ("Llama 2 7B, TP8×DP8", "llama2-7b", {"tensor": 8, "data": 8, "global_batch": 64}),
        ("GPT-3 175B, TP8×PP8×DP8", "gpt3-175b", {"tensor": 8, "pipeline": 8, "data": 8, "global_batch": 256}),
    ):
        designs, goal = 65_536, "0.066 s (1,000,000 a second)"
        yield f"{designs:,} designs of chip and links, {name}", goal, _designs(family, degrees, designs)
    count = screened()
    yield f"{count:,} plans screened, memory and bound", f"{count / 50_000:.2g} s (50,000 a second)", screened


def _million() -> Callable[[], object]:
    """GPT-3 as TP8×PP8×DP16384; nothing known of the network."""
    values = {
        "workload": {"family": "gpt3-175b"},
        "cluster": {"extends": "dgx-h100-superpod", "devices": 1 << 20},
        "target": {"steps": 1000},
        "plan": {"tensor": 8, "pipeline": 8, "data": 16384, "sub_batch": 1, "global_batch": 262144},
    }
    scenario = build(document_of(values, "performance"))

    def cold() -> object:
        communicator_of.cache_clear()
        return simulate(scenario)

    return cold


def _all_reduce(devices: int) -> Callable[[], object]:
    """What a library would choose from, and what it puts on every link."""
    asked, group = cluster(devices).cluster, Group(devices)

    def cold() -> object:
        communicator = Communicator(asked)
        communicator.costs("all_reduce", group)
        return communicator.link_loads("all_reduce", 1e9, group)

    return cold


def _designs(family: str, degrees: dict[str, int], count: int) -> Callable[[], object]:
    """Designs of a fixed plan in columns: kernels, network, memory and power limit; gradients after the passes."""
    plan = degrees | {"sub_batch": 1, "sequence_parallel": True}
    base = {"workload": {"family": family}, "target": {"steps": 1000}, "plan": plan}
    base |= {"cluster": {"extends": "dgx-h100-superpod", "devices": 64 * degrees.get("pipeline", 1)}}
    base |= {"framework": {"overlap_gradients": False}}
    screen = DesignScreen(build(document_of(base, "performance")))
    draw = np.random.default_rng(0)
    names = ("peak", "memory_bandwidth", "link_bandwidth", "link_latency", "memory_capacity")
    columns = {name: np.exp(draw.uniform(-1.0, 0.0, count)) for name in names}
    parts = [{name: column[at : at + TOGETHER] for name, column in columns.items()} for at in range(0, count, TOGETHER)]
    return lambda: [screen.run(part) for part in parts]


def _search(model: object, devices: int, batch: int) -> Callable[[], object]:
    asked = cluster(devices).cluster
    limits = limits_of({}, model)  # type: ignore[arg-type]
    return lambda: search(model, NUMERICS, CHIP, Communicator(asked), batch, limits)  # type: ignore[arg-type]


def page() -> Iterator[str]:
    """The lines of the page."""
    yield "# Speed"
    yield ""
    yield "Made by `python -m tests.benchmarks.performance > docs/performance.md`. CPU is processor time, the least of"
    yield f"several runs; *loops* the same as a multiple of a bare SimPy loop of {TIMEOUTS:,} timeouts on the same"
    yield "machine at the same moment; memory the peak of a first run. Times of a shared machine swing by a third."
    yield ""
    yield "| job | CPU | loops | memory | goal (2 cores) |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for name, goal, job in jobs():
        took = cost(job, 1 if "search" in name else 5)
        yield f"| {name} | {_time(took.seconds)} | {took.ratio:.3g} | {took.peak_bytes / 1e6:.3g} MB | {goal} |"
    yield ""
    yield "## Growth"
    yield ""
    yield "A step of GPT-3 175B as TP8×PP8×DP8 with 32 micro-batches (experts: Mixtral 8x7B, PP4), one thing grown at a"
    yield "time, from plan to time in SimPy. Exponent: of CPU between neighbours, 1 is linear."
    for what, sizes in growth():
        yield from (
            "",
            f"| {what} | CPU | loops | memory | events | exponent |",
            "| ---: | ---: | ---: | ---: | ---: | ---: |",
        )
        before: tuple[int, float] | None = None
        for size, job in sizes.items():
            took = cost(job)
            power = "" if before is None else f"{log(took.seconds / before[1]) / log(size / before[0]):.2f}"
            memory = f"{took.peak_bytes / 1e6:.3g} MB"
            yield f"| {size:,} | {_time(took.seconds)} | {took.ratio:.3g} | {memory} | {took.events:,} | {power} |"
            before = size, took.seconds
    yield ""
    yield "## Peers"
    yield ""
    yield "Measured, not quoted; how stands beside each."
    yield ""
    yield "| tool | job | figure | how |"
    yield "| --- | --- | ---: | --- |"
    with PEERS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield f"| {row['tool']} | {row['job']} | {row['figure']} {row['unit']} | {row['how']} |"


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1.0 else f"{seconds:.3g} s"


if __name__ == "__main__":
    for line in page():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
