"""What makes the difference between two scenarios, and where along an axis their order changes.

Oracle: arithmetic. Shapley values of a product, of a sum and of a glove game are worked out by hand; shares add up.
"""

from __future__ import annotations

import json
from dataclasses import fields
from itertools import combinations
from math import log, prod

import pytest
from click.testing import CliRunner

from sim import compare, load_accelerator, load_scenario
from sim.cli.compare import command
from sim.errors import InputError
from sim.scenario import Scenario
from sim.study.attribution import _SCENARIO, differences, grouped, mixed, separable, shapley
from sim.study.compare import Asked, winners
from sim.study.crossover import crossovers

WORD = "paper/word-lm"


def test_shapley_of_a_sum_is_each_summand():
    """Parts that do not act on each other keep what they add."""
    adds = {"a": 3.0, "b": -1.0, "c": 0.5}
    parts = tuple((name,) for name in adds)
    assert shapley(parts, lambda names: sum(adds[n] for n in names)) == pytest.approx(tuple(adds.values()), abs=1e-12)


def test_shapley_of_the_glove_game():
    """One left glove, two right ones; a pair is worth 1: 2/3, 1/6, 1/6 (Shapley 1953's kind of game, by hand)."""
    value = lambda names: float("left" in names and bool(names & {"one", "other"}))  # noqa: E731
    assert shapley((("left",), ("one",), ("other",)), value) == pytest.approx((2 / 3, 1 / 6, 1 / 6), abs=1e-12)


def test_shapley_of_a_product_of_two():
    """v = x y: a share is the mean of what a factor does first and what it does last."""
    factors = {"x": 2.0, "y": 3.0}
    shares = shapley((("x",), ("y",)), lambda names: prod(factors[n] for n in names))
    assert shares == pytest.approx(((1.0 + 3.0) / 2, (2.0 + 4.0) / 2))


def test_one_factor_has_the_whole():
    """Only the memory differs: it has 100 % of the difference."""
    base = load_scenario(WORD)
    found = compare(base, base.with_("accelerator.memory.bandwidth", "2 TB/s"), attribute=True).attributions[0]
    assert found.parts == (("accelerator memory",),)
    time = found.figures[0]
    assert time.shares[0].share == time.second - time.first == time.shares[0].alone
    assert time.second < time.first


def test_shares_add_up_to_the_difference():
    """To 1e-9 of it, for time and energy, over parts of every kind; the ends are the two results."""
    base = load_scenario(WORD).with_("accelerator", load_accelerator("h100-sxm5-80gb"))
    base = base.with_("accelerator.memory.capacity", "512 GiB")
    other = base.with_("accelerator", load_accelerator("a100-sxm4-80gb")).with_("cluster.devices", 256)
    other = other.with_("accelerator.memory.capacity", "512 GiB").with_("plan.sub_batch", 64)
    found = compare(base, other, attribute=True)
    (causes,) = found.attributions
    assert {"accelerator compute", "cluster", "plan"} <= {name for part in causes.parts for name in part}
    assert next(figure.metric.name for figure in causes.figures) == "time_to_target_s"
    assert "energy_j" in [figure.metric.name for figure in causes.figures]
    for figure in causes.figures:
        total = sum(share.share for share in figure.shares)
        assert total == pytest.approx(figure.second - figure.first, rel=1e-9)
        assert (figure.first, figure.second) == tuple(figure.metric.of(case.result) for case in found.cases)


def test_everything_exchanged_is_the_other_scenario():
    """Every field belongs to a part or to the labels, and all parts together give the other's answer."""
    placed = {field for own in _SCENARIO.values() for field in own} | {"accelerator", "cluster", "cluster_choices"}
    labels = {"name", "description", "sources", "study", "links"}
    assert {f.name for f in fields(Scenario)} == placed | labels
    one, other = load_scenario(WORD), load_scenario("paper/case-study-4-data-parallel-512")
    whole = Asked("", mixed(one, other, frozenset(differences(one, other)))).answer().result
    expected = Asked("", other).answer().result
    assert whole is not None
    assert expected is not None
    assert whole.step == expected.step
    assert whole.time_to_target == expected.time_to_target


def test_parts_no_mixture_of_which_runs_are_joined():
    """`a` and `c` run only together; `b` stays a part of its own."""
    parts = (("a",), ("b",), ("c",))
    assert separable(parts, lambda names: ("a" in names) == ("c" in names)) == (("a", "c"), ("b",))
    assert separable(parts, lambda names: True) == parts


def test_at_most_six_parts():
    """All that can differ at once is joined to six, nothing is lost."""
    names = ("accelerator compute", "accelerator memory", "accelerator power and price", "cluster", "links", *_SCENARIO)
    for size in range(len(names) + 1):
        for chosen in combinations(names, size):
            parts = grouped(chosen)
            assert len(parts) <= 6
            assert sorted(name for part in parts for name in part) == sorted(chosen)
            assert size > 6 or len(parts) == size


def test_a_crossover_of_two_powers_is_where_they_are_equal():
    """400/x and x/4 are equal at 40: the logarithm of their ratio is straight."""
    points = [10, 30, 60]
    (found,) = crossovers(points, ("falls", "rises"), ([400 / x for x in points], [x / 4 for x in points]))
    assert (found.ahead, found.behind, found.last, found.first) == ("rises", "falls", 30, 60)
    assert found.at is not None
    assert log(found.at) == pytest.approx(log(40.0))


def test_ties_and_gaps_lie_between():
    """A tie at 2 and a missing figure at 3 change nothing by themselves."""
    (found,) = crossovers([1, 2, 3, 4], ("a", "b"), ([1.0, 2.0, None, 4.0], [2.0, 2.0, 3.0, 3.0]))
    assert (found.ahead, found.behind, found.last, found.first) == ("a", "b", 1, 4)
    assert not list(crossovers([1, 2], ("a", "b"), ([1.0, 2.0], [1.0, 2.0])))


def test_more_is_better_of_a_rate():
    """The same figures as a rate: the order is the other one."""
    (found,) = crossovers([1, 2], ("a", "b"), ([1.0, 3.0], [2.0, 2.0]), less=False)
    assert (found.ahead, found.behind) == ("b", "a")


def test_order_along_an_axis():
    """The figure of a case at a value is that of the scenario with that value."""
    base = load_scenario(WORD)
    faster = base.with_("accelerator.memory.bandwidth", "2 TB/s")
    found = compare(
        base, faster, labels=["base", "faster"], along={"cluster.devices": [64, 256]}, metric="step_s"
    ).along
    assert found is not None
    alone = Asked("", faster.with_("cluster.devices", 256)).answer().result
    assert alone is not None
    assert found.figures[1][1] == alone.step.time_s


def test_an_axis_that_does_not_exist_is_refused():
    """With the nearest name."""
    with pytest.raises(InputError, match="is no axis"):
        compare(WORD, WORD, along={"plan.tensr": [1, 2]})
    with pytest.raises(InputError, match="goes with `along`"):
        compare(WORD, WORD, metric="step_s")


def test_the_command_prints_what_python_answers():
    """`--attribute --along` in JSON; the winner is the lesser time."""
    arguments = [WORD, "paper/case-study-4-data-parallel-512", "--attribute", "--along", "cluster.devices=256,512"]
    outcome = CliRunner().invoke(command, [*arguments, "--json"])
    printed = json.loads(outcome.output)
    figure = printed["attributions"][0]["figures"]["time_to_target_s"]
    total = sum(share["share"] for share in figure["shares"])
    assert total == pytest.approx(figure["second"] - figure["first"], rel=1e-9)
    assert printed["along"]["points"] == [256, 512]
    found = compare(*arguments[:2])
    (best,) = [case.label for metric, case, _ in winners(found) if metric.name == "time_to_target_s"]
    assert printed["winners"]["time_to_target_s"] == best
    assert CliRunner().invoke(command, [WORD, WORD, "--metric", "step_s"]).exit_code == 2
