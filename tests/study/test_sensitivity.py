"""Elasticities against finite differences, Sobol indices against Ishigami's function, requirements run forward."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from sim.errors import InputError
from sim.files import load_scenario
from sim.simulation import simulate
from sim.simulation.properties import PROPERTIES, property_of
from sim.study.require import SLACK, p_factor, require
from sim.study.sensitivity import indices, sensitivity

SETS = ("plan.sub_batch=64", "cluster.devices=8")


def test_the_elasticities_are_finite_differences_of_the_simulation() -> None:
    scenario = load_scenario("paper/word-lm", SETS)
    found = {
        e.prop.name: e for e in sensitivity(scenario, "step_s", ["peak", "memory_bandwidth"], step=1.05).elasticities
    }
    for name, elasticity in found.items():
        up, down = (simulate(PROPERTIES[name].scaled(scenario, f), levers=False).step.time_s for f in (1.05, 1 / 1.05))
        assert elasticity.elasticity == pytest.approx(math.log(up / down) / (2 * math.log(1.05)), rel=1e-12)
    assert -1.0 <= sum(e.elasticity or 0.0 for e in found.values()) < 0.0


def test_ishigamis_function_recovers_its_known_indices() -> None:
    """Ishigami and Homma 1990, a = 7, b = 0.1: S = (0.3139, 0.4424, 0), ST = (0.5576, 0.4424, 0.2437)."""

    def ishigami(factors: Sequence[float]) -> float:
        x = [math.pi * math.log(f) for f in factors]
        return math.sin(x[0]) + 7.0 * math.sin(x[1]) ** 2 + 0.1 * x[2] ** 4 * math.sin(x[0])

    first, total = indices(ishigami, [(1 / math.e, math.e)] * 3, 2048, seed=1)
    assert first == pytest.approx([0.3139, 0.4424, 0.0], abs=0.02)
    assert total == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.02)


def test_what_is_required_meets_the_deadline_and_a_thousandth_less_of_what_binds_misses_it() -> None:
    scenario = load_scenario("paper/word-lm", SETS)
    names = ["peak", "memory_bandwidth"]
    today = simulate(scenario, levers=False).time_to_target
    assert today is not None
    deadline = today.seconds / 2.0
    found = require(scenario, deadline, names)
    assert found.feasible
    assert found.seconds <= deadline

    def seconds(less: str) -> float:
        changed = scenario
        for need in found.needed:
            factor = need.need / need.have * (1.0 - SLACK if need.prop.name == less else 1.0)
            changed = need.prop.scaled(changed, factor)
        goal = simulate(changed, levers=False).time_to_target
        assert goal is not None
        return goal.seconds

    assert seconds("") <= deadline * (1 + 1e-12)
    assert any(need.binding for need in found.needed)
    for need in found.needed:
        assert (seconds(need.prop.name) > deadline) == need.binding


def test_a_deadline_nothing_meets_says_what_stands_in_the_way() -> None:
    found = require(load_scenario("paper/word-lm", SETS), 1.0, ["peak"])
    assert not found.feasible
    assert "kernels that wait for device memory" in found.reason


def test_less_of_a_delay_is_better() -> None:
    assert p_factor(property_of("link_latency"), 4.0) == 0.25
    assert p_factor(property_of("peak"), 4.0) == 4.0
    with pytest.raises(InputError, match="is no hardware property"):
        property_of("colour")
