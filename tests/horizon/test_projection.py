"""Chips and whole systems some years ahead."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.device.energy import IDLE_SHARE
from sim.errors import InputError
from sim.files.clusters import load_cluster
from sim.files.hardware import GROUPS, build_accelerator, load_accelerator, load_accelerator_file
from sim.files.library import root
from sim.files.lint import lint_file
from sim.files.scenario import load_scenario
from sim.horizon.chip_projection import draw, project_chip
from sim.horizon.points import decimal_year, fit_points
from sim.horizon.projected import Band
from sim.horizon.system_projection import link_trend, project_system
from sim.horizon.trends import format_step, known_fits
from sim.report.projected import projection_json, projection_text
from sim.simulation import simulate


def test_projection_follows_the_trend_of_its_own_format() -> None:
    """Value = now · growth^years, fp32 by the fp32 trend, bf16 by the 16-bit one."""
    projected = project_chip(load_accelerator_file("h100-sxm5-80gb"), 2031.0)
    trend = known_fits()
    for metric, name in (("fp32 peak", "fp32"), ("bf16 peak", "matrix16"), ("memory bandwidth", "bandwidth")):
        row = projected.row(metric)
        assert row.value == pytest.approx(row.now * trend[name].growth ** projected.years)
        assert row.low < row.value < row.high


def test_capacity_keeps_the_reading_time_of_the_chip() -> None:
    """Capacity / bandwidth is invariant; drawn together they are correlated."""
    projected = project_chip(load_accelerator_file("h100-sxm5-80gb"), 2031.0)
    capacity, bandwidth = projected.row("memory capacity"), projected.row("memory bandwidth")
    assert capacity.value / bandwidth.value == pytest.approx(capacity.now / bandwidth.now)
    drawn = draw(projected, 2000, seed=1)
    assert np.corrcoef(np.log(drawn["memory bandwidth"]), np.log(drawn["memory capacity"]))[0, 1] > 0.5
    assert np.array_equal(drawn["power"], draw(projected, 2000, seed=1)["power"])


@given(early=st.floats(2026.0, 2030.0), later=st.floats(0.5, 5.0))
@settings(max_examples=15, deadline=None)
def test_bands_widen_with_distance(early: float, later: float) -> None:
    """A year further out is never more certain."""
    file = load_accelerator_file("b200-sxm-180gb")
    near, far = (project_chip(file, year).row("bf16 peak") for year in (early, early + later))
    assert far.high / far.value >= near.high / near.value


def test_a_new_format_is_an_explicit_step() -> None:
    """A100 has no fp8: it takes twice bf16, the median of shipped chips with both, and the step is shown."""
    projected = project_chip(load_accelerator_file("a100-sxm4-80gb"), 2031.0, new_format="fp8")
    (step,) = projected.steps
    assert (step.format, step.like, step.factor) == ("fp8", "bf16", format_step("fp8", "bf16")[0])
    assert projected.row("fp8 peak").value == pytest.approx(step.factor * projected.row("bf16 peak").value)
    assert "format step: fp8 = 2 x bf16" in projection_text(projected)


@given(watts=st.floats(200.0, 5000.0))
@settings(max_examples=20, deadline=None)
def test_power_holds_the_peak(watts: float) -> None:
    """More power never gives less; the peak never exceeds the trend's."""
    file = load_accelerator_file("h100-sxm5-80gb")
    free = project_chip(file, 2031.0).row("bf16 peak").value
    held = project_chip(file, 2031.0, power_w=watts).row("bf16 peak").value
    more = project_chip(file, 2031.0, power_w=1.1 * watts).row("bf16 peak").value
    assert held <= more * (1 + 1e-12)
    assert more <= free * (1 + 1e-12)


def test_price_is_a_constraint_too() -> None:
    """A tenth of the trend's price pays for less of the peak, and says so."""
    projected = project_chip(load_accelerator_file("h100-sxm5-80gb"), 2031.0, price_usd=5000.0)
    assert projected.row("bf16 peak").note == "held by price"
    assert any("price of 5000 USD" in text for text in projected.constraints)


def test_distance_of_extrapolation_is_told() -> None:
    """Years beyond the last fitted chip, in text and JSON."""
    projected = project_chip(load_accelerator_file("h100-sxm5-80gb"), 2031.0)
    payload = projection_json(projected)
    assert payload["extrapolated"] is True
    assert payload["years_beyond_data"] == pytest.approx(2031.0 - max(p.year for p in fit_points()))
    assert "beyond the chips of the fits" in projection_text(projected)


@pytest.mark.parametrize("name", ["h100-sxm5-80gb", "tpu-v5p", "mi300x", "gaudi2"])
def test_projected_chip_is_a_file_that_passes_check(name: str, tmp_path: Path) -> None:
    """Written, it is a hypothetical chip without complaint."""
    projected = project_chip(load_accelerator_file(name), 2030.5, new_format="fp4")
    path = tmp_path / "next.yaml"
    path.write_text(projected.text(Band.CENTRAL, "next"))
    assert lint_file(path) == []
    assert load_accelerator_file(path).status == "hypothetical"


@pytest.mark.parametrize(
    ("year", "kwargs"),
    [(1985.0, {}), (2100.0, {}), (2031.0, {"new_format": "fp64"})],
)
def test_impossible_projections_are_refused(year: float, kwargs: dict[str, object]) -> None:
    """A lifetime before the chip or after it, or a format nothing leads to."""
    with pytest.raises(InputError):
        project_chip(load_accelerator_file("gaudi2"), year, **kwargs)  # type: ignore[arg-type]


def test_energy_of_a_flop_follows_its_trend_under_a_power_limit() -> None:
    """1 kW in 2031: the chip's pJ/FLOP over the growth of FLOP/J, not the floor of a fifth of the board's power."""
    file = load_accelerator_file("h100-sxm5-80gb")
    projected = project_chip(file, 2031.0, power_w=1000.0)
    now, then = (build_accelerator(f).power for f in (file, projected.file))
    assert now is not None
    assert then is not None
    grown = known_fits()["matrix16_per_watt"].growth ** projected.years
    assert then.flop_j["bf16"] == pytest.approx(now.flop_j["bf16"] / grown, rel=0.01)


@pytest.mark.parametrize("watts", [None, 500.0, 1000.0])
def test_full_rate_draws_the_boards_power(watts: float | None) -> None:
    """Idle power and FLOPs at the sustained rate make the peak, without the floor of a fifth."""
    chip = build_accelerator(project_chip(load_accelerator_file("gb300"), 2031.0, power_w=watts).file)
    power, entry = chip.power, chip.compute["bf16"]
    assert power is not None
    flops = entry.peak_flops * entry.achievable * chip.sustained * power.flop_j["bf16"]
    assert IDLE_SHARE * power.peak_w + flops == pytest.approx(power.peak_w)
    assert flops > 0.2 * power.peak_w


def test_issue_times_fall_with_the_host() -> None:
    """An op's issue by the speed of one thread; of a kernel's overhead only the launch."""
    projected = project_chip(load_accelerator_file("h100-sxm5-80gb"), 2031.0)
    host, kernel = projected.row("host issue"), projected.row("kernel overhead")
    thread, launch = known_fits()["single_thread"], known_fits()["launch"]
    assert host.value == pytest.approx(40e-6 / thread.growth**projected.years)
    part = launch.at(2022.718)  # 2022-09-20
    assert kernel.value == pytest.approx(7e-6 - part + part * launch.growth**projected.years, rel=1e-3)
    assert projected.files[Band.LOW].compute.host == pytest.approx(host.high, rel=0.01)  # the low machine waits longest


def test_a_compiled_chip_keeps_its_overhead() -> None:
    """A TPU's host issues whole graphs: nothing of a launch trend applies."""
    projected = project_chip(load_accelerator_file("tpu-7x"), 2031.0)
    assert "host issue" not in {row.metric for row in projected.rows}
    assert build_accelerator(projected.file).kernel_overhead_s == load_accelerator("tpu-7x").kernel_overhead_s


@pytest.mark.parametrize("name", ["h100-sxm5-80gb", "tpu-v5p", "gb300"])
@pytest.mark.parametrize("band", list(Band))
def test_confidence_of_what_is_projected_is_d(name: str, band: Band) -> None:
    """In every group of every machine, whatever the chip's own."""
    file = project_chip(load_accelerator_file(name), 2031.0).files[band]
    assert {getattr(file, group).confidence for group in GROUPS if getattr(file, group)} == {"D"}


@pytest.mark.parametrize("name", ["v100-sxm2-16gb", "a100-sxm4-80gb", "h100-sxm5-80gb", "tpu-v4", "mi300x"])
def test_an_unchanged_chip_written_as_hypothetical_is_itself(name: str, tmp_path: Path) -> None:
    """Projected to its own date it has no years to grow: written, read back and run, its step is within 1 %."""
    file = load_accelerator_file(name)
    path = tmp_path / "same.yaml"
    path.write_text(project_chip(file, decimal_year(file.date)).text(Band.CENTRAL, "same"))
    form = "fp16" if name.startswith("v100") else "bf16"
    sets = [f"workload.numerics.{key}={form}" for key in ("compute", "activations", "weights", "gradients")]
    scenario = load_scenario("today/resnet50", [*sets, "plan.global_batch=512", "plan.sub_batch=64"])
    known, written = (
        simulate(scenario.with_("accelerator", load_accelerator(chip)), levers=False, must_fit=False).step.time_s
        for chip in (name, path)
    )
    assert written == pytest.approx(known, rel=0.01)


def test_a_year_before_the_data_is_warned() -> None:
    """2005 is before any chip of the fits; 2020 is between them; 2031 beyond."""
    file = load_accelerator_file("v100-sxm2-16gb")
    warned = {year: bool(project_chip(file, year).warnings) for year in (2005.0, 2020.0, 2031.0)}
    assert warned == {2005.0: True, 2020.0: False, 2031.0: True}
    assert projection_json(project_chip(file, 2005.0))["extrapolated"] is True


@pytest.mark.parametrize(
    ("link", "trend"),
    [
        ("nvlink5", "link"),
        ("tpu-ici-7x", "link"),
        ("gaudi3-roce", "link"),
        ("infiniband-xdr", "scale_out"),
        ("tpu-dcn-v5p", "scale_out"),
        ("efa-v3", "scale_out"),
        ("pcie5-x16", "host_bus"),
    ],
)
def test_links_grow_as_their_kind(link: str, trend: str) -> None:
    """Between devices, between nodes, in a slot."""
    assert link_trend(link) == trend


def test_links_host_and_storage_of_a_system_move() -> None:
    """Each by its own trend; what has none keeps its value."""
    system = project_system("gb300-nvl72", 2031.0, host="dgx-b200", storage="nvme-gen4")
    trends, years = known_fits(), system.chip.years
    at = {row.metric: row for row in system.rows}
    assert at["rack link"].value == pytest.approx(900e9 * trends["link"].growth ** years)
    assert at["fabric link"].value == pytest.approx(100e9 * trends["scale_out"].growth ** years)
    assert at["storage node_read"].value == pytest.approx(6.9e9 * trends["host_bus"].growth ** years)
    assert at["core speed"].value == pytest.approx(1.7 * trends["single_thread"].growth ** years)


def test_a_system_without_host_says_so() -> None:
    """Nothing is invented for a base that names none."""
    system = project_system("gb300-nvl72", 2031.0)
    assert system.absent == ("host", "storage")
    assert not {"host:", "storage:"} & set(system.text(Band.LOW).splitlines())
    assert any("names no host" in text for text in system.warnings)


@pytest.mark.parametrize("name", ["dgx-h100-superpod", "tpu-v5p-pod", "mi300x-ubb", "tpu-v4-multislice", "summit"])
def test_projected_system_is_a_file_that_passes_check(name: str, tmp_path: Path) -> None:
    """Of any base: levels, torus, full mesh; it has the base's devices."""
    path = tmp_path / "next.yaml"
    path.write_text(project_system(name, 2030.0).text(Band.LOW, "next"))
    assert lint_file(path) == []
    assert load_cluster(path).devices == load_cluster(name).devices


@pytest.mark.parametrize("band", list(Band))
def test_library_has_the_systems_of_2031_as_projected_today(band: Band) -> None:
    """`foretrain hardware project gb300-nvl72 --year 2031 --host dgx-b200 --storage nvme-gen4 -o hardware/clusters`"""
    system = project_system("gb300-nvl72", 2031.0, host="dgx-b200", storage="nvme-gen4")
    path = root() / "hardware" / "clusters" / f"{system.named(band)}.yaml"
    assert path.read_text() == system.text(band)


def test_higher_machines_of_2031_train_faster() -> None:
    """The same run on the low, the central and the high one, by name."""
    seconds = []
    for band in Band:
        sets = [f"cluster=gb300-nvl72-2031-{band}", "cluster.devices=72", "plan.global_batch=2304"]
        seconds.append(simulate(load_scenario("today/bert", sets)).to_dict()["time_to_target"]["seconds"])
    assert seconds == sorted(seconds, reverse=True)
    assert all(math.isfinite(time) for time in seconds)


def test_a_graph_is_not_projected(tmp_path: Path) -> None:
    """Single links have no type whose trend is known."""
    path = tmp_path / "graph.yaml"
    path.write_text(
        "name: graph\naccelerator: h100-sxm5-80gb\nsource: assumed\n"
        "graph: {edges: [{ends: [0, 1], bandwidth: 100 GB/s, latency: 1 us}]}\n"
    )
    with pytest.raises(InputError, match="needs levels"):
        project_system(str(path), 2031.0)


def test_what_was_known_by_2018_knows_nothing_of_later_chips() -> None:
    """No launch, network or failure figures yet: kept, without a band; a chip that ships later is refused."""
    file = load_accelerator_file("v100-sxm2-16gb")
    projected = project_chip(file, 2022.72, before=2018.0)
    energy = projected.row("memory energy")
    assert (energy.low, energy.high, energy.points) == (energy.now, energy.now, 0)
    assert "no trend was known by 2018" in energy.note
    assert "mtbf" not in {row.metric for row in projected.rows} or file.reliability is not None
    assert projected.row("memory bandwidth").growth < 1.25  # 1.27 with the stacks of later years
    with pytest.raises(InputError, match="nothing is known then"):
        project_chip(load_accelerator_file("h100-sxm5-80gb"), 2031.0, before=2018.0)


def test_memory_takes_at_most_half_of_a_limited_board() -> None:
    """The bits of an A100 at 6 pJ, ten years of its bandwidth in 500 W: held to half, and said."""
    projected = project_chip(load_accelerator_file("a100-sxm4-80gb"), 2031.0, power_w=500.0)
    bandwidth, energy = projected.row("memory bandwidth"), projected.row("memory energy")
    achievable = load_accelerator("a100-sxm4-80gb").memory.achievable
    assert bandwidth.value * achievable * energy.value == pytest.approx(250.0)
    assert "needs cheaper bits" in projected.constraints[0]


def test_a_part_that_leads_nowhere_is_told_with_its_place(tmp_path: Path) -> None:
    """A host nobody knows, by option; a link type nobody knows, in the file."""
    with pytest.raises(InputError, match="no such host"):
        project_system("gb300-nvl72", 2031.0, host="nosuch")
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\naccelerator: h100-sxm5-80gb\nsource: assumed\n"
        "levels: [{name: node, topology: switch, size: 8, link: nvlinkk}]\n"
    )
    with pytest.raises(InputError, match="unknown link type") as told:
        project_system(str(path), 2031.0)
    assert (told.value.problems[0].line, told.value.problems[0].path) == (4, "levels.0.link")


def test_levels_of_one_name_keep_their_own_links(tmp_path: Path) -> None:
    """Each grows from its own rate, by its own kind."""
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\naccelerator: h100-sxm5-80gb\nsource: assumed\nlevels:\n"
        "  - {name: node, topology: switch, size: 8, link: {like: nvlink4, efficiency: 0.5}}\n"
        "  - {name: node, topology: rail, size: 4, nics: 8, link: infiniband-ndr}\n"
    )
    system = project_system(str(path), 2031.0)
    path.write_text(system.text(Band.CENTRAL, "x"))
    inner, outer = (level.link for level in load_cluster(path).levels)
    years, trends = system.chip.years, known_fits()
    assert inner.bandwidth == pytest.approx(450e9 * trends["link"].growth ** years, rel=0.01)
    assert inner.efficiency == 0.5
    assert outer.bandwidth == pytest.approx(50e9 * trends["scale_out"].growth ** years, rel=0.01)
