"""What the input pipeline of a plan does to its step."""

from __future__ import annotations

from dataclasses import replace

from sim.engine.feed import Stage, simulate_feed
from sim.engine.feed.pipeline import steady_stall_s
from sim.engine.records import Step
from sim.errors import InputError, Problem
from sim.network.surroundings import MEASURED_ON_BLOOM, Host, Storage
from sim.plan.records import Plan
from sim.scenario import Scenario


def fed(scenario: Scenario, plan: Plan, step: Step, decoded: float = 1.0) -> Step:
    """The step with the time every device waits for its input; as it is where no input is given. `decoded`: factor of
    speed-ups on the bytes of a sample that go to the device."""
    if scenario.training.input is None:
        return step
    *stages, link = stages_of(scenario, plan)
    stages.append(replace(link, seconds=link.seconds * decoded))
    if any(stage.random for stage in stages):
        stall = simulate_feed(stages, step.time_s, scenario.training.input.prefetch).stall_s
    else:
        stall = steady_stall_s(stages, step.time_s)
    return replace(step, time_s=step.time_s + stall, input_stall_s=stall)


def stages_of(scenario: Scenario, plan: Plan) -> tuple[Stage, ...]:
    """Seconds each part of the way takes for the batch of one node: storage, decoding on the cores, link to a device.

    Samples a host still has in its memory are not read again (after the first pass, data reshuffled over all nodes).
    """
    data, host = scenario.training.input, scenario.host
    if data is None:
        return ()
    if host is None:
        raise InputError(Problem("is required to feed training.input", "cluster.host", hint="like dgx-a100-80gb"))
    storage = scenario.storage or MEASURED_ON_BLOOM
    nodes = max(1, -(-plan.devices // host.accelerators))
    samples = plan.global_batch / nodes
    read = missed(data.samples, data.stored_bytes, data.cached_share, host) * samples
    seconds = read * data.stored_bytes * nodes / storage.read_bandwidth(nodes)
    if storage.node_requests:
        seconds = max(seconds, read * data.requests / storage.node_requests)
    per_device = plan.global_batch / plan.devices
    cores = min(host.cores, data.workers * host.accelerators) if data.workers else host.cores
    return (
        Stage("storage", seconds, data.arrivals == "poisson"),
        Stage("host cores", samples * data.core_s / (cores * host.core_speed)),
        Stage("host link", per_device * data.decoded_bytes / host.link_bandwidth),
    )


def missed(samples: float | None, stored_bytes: float, cached_share: float, host: Host) -> float:
    """Share of samples that are not in the memory of the host that asks for them."""
    if samples is None:
        return 1.0
    return max(0.0, 1.0 - cached_share * host.memory_bytes / (samples * stored_bytes))


def input_limit(scenario: Scenario, plan: Plan) -> str:
    """The stage a step waits for."""
    return max(stages_of(scenario, plan), key=lambda stage: stage.seconds).name


def faster_storage(storage: Storage | None) -> Storage:
    """Every limit of it twice as high."""
    given = storage or MEASURED_ON_BLOOM
    limits = ("read", "write", "node_read", "node_write", "node_requests")
    return replace(given, **{name: 2 * value for name in limits if (value := getattr(given, name)) is not None})
