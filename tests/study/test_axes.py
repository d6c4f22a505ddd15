"""Designs by number: grids, zips, samples, and what is refused."""

from __future__ import annotations

from itertools import product

import pytest

from sim.axes import Axis, Combination, axis
from sim.errors import InputError
from sim.study.designs import Designs, axes_of_csv


def test_a_grid_is_every_combination_the_last_axis_fastest() -> None:
    designs = Designs((axis("a", [1, 2]), axis("b", ["x", "y", "z"])))
    assert [designs[i] for i in range(len(designs))] == list(product([1, 2], ["x", "y", "z"]))


def test_a_million_designs_are_numbered_without_being_listed() -> None:
    designs = Designs(tuple(axis(name, list(range(100))) for name in "abc"))
    assert len(designs) == 10**6
    assert designs[123_456] == (12, 34, 56)


def test_an_interval_keeps_its_unit_and_a_log_scale_its_ratio() -> None:
    assert axis("b", {"from": "1 TB/s", "to": "4 TB/s", "count": 3, "scale": "log"}).points == (
        "1.0 TB/s",
        "2.0 TB/s",
        "4.0 TB/s",
    )


def test_whole_numbers_stay_whole_and_count_once() -> None:
    assert axis("n", {"from": 1, "to": 3, "count": 9}).points == (1, 2, 3)


def test_a_zip_takes_values_together() -> None:
    designs = Designs((axis("a", [1, 2]), axis("b", [3, 4])), Combination.ZIP)
    assert [designs[i] for i in range(2)] == [(1, 3), (2, 4)]
    with pytest.raises(InputError, match="equally many"):
        Designs((axis("a", [1, 2]), axis("b", [3])), Combination.ZIP)


def test_a_latin_hypercube_has_one_design_in_every_stratum_of_every_axis() -> None:
    count = 16
    both = (axis("a", {"from": 0.0, "to": 1.0}), axis("b", {"from": 0.0, "to": 1.0}))
    designs = Designs(both, Combination.LATIN_HYPERCUBE, samples=count, seed=3)
    for place in range(2):
        strata = sorted(int(float(str(designs[i][place])) * count) for i in range(count))
        assert strata == list(range(count))


def test_sampled_designs_depend_on_the_seed_alone() -> None:
    both = (axis("a", [1, 2, 3]), axis("b", {"from": 1, "to": 64, "scale": "log"}))

    def drawn(seed: int) -> list[tuple[object, ...]]:
        designs = Designs(both, Combination.SOBOL, samples=32, seed=seed)
        return [designs[i] for i in range(32)]

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"from": "1 TB/s"}, "is required"),
        ({"from": "1 TB/s", "to": "2 GB/s"}, "must have the unit of `from`"),
        ({"from": 0, "to": 2, "scale": "log"}, "must be positive on a log scale"),
        ({"from": 1, "to": 2, "count": 2.5}, "must be a whole number"),
        ({"from": 1, "to": 2, "cuont": 2}, "unknown key"),
        ({"from": "fast", "to": 2}, "must be a number or a quantity"),
        ("8,16", "must be a list of values"),
    ],
)
def test_a_wrong_axis_is_refused_with_its_rule(given: object, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        axis("plan.data", given)


def test_empty_and_doubled_axes_are_refused_together() -> None:
    with pytest.raises(InputError) as found:
        Designs((Axis("a", ()), axis("b", [1]), axis("b", [2])))
    assert {problem.rule for problem in found.value.problems} == {"is an empty axis", "is an axis twice"}


def test_rows_of_a_csv_are_designs(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "rows.csv"
    file.write_text("plan.data,accelerator\n8,h100-sxm\n16,a100-sxm-80gb\n")
    designs = Designs(axes_of_csv(file), Combination.ZIP)
    assert designs.overrides(1) == {"plan.data": 16, "accelerator": "a100-sxm-80gb"}
    file.write_text("plan.data,accelerator\n8\n")
    with pytest.raises(InputError, match="must have 2 cells"):
        axes_of_csv(file)


def test_an_interval_has_at_most_a_million_points() -> None:
    """Refused before they are made."""
    with pytest.raises(InputError, match=r"count: must be 1 to 1,000,000, got 99,999,999,999"):
        Designs((axis("plan.data", {"from": 1, "to": 4, "count": 99_999_999_999}),))
