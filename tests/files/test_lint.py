"""The lint finds the slips data sheets invite, and nothing in the catalogue."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sim.files.checking import check_file
from sim.files.clusters import load_links
from sim.files.hardware import accelerator_files
from sim.files.hardware_text import dump_accelerator, new_accelerator
from sim.files.library import root
from sim.files.lint import known_rate, lint_file, lint_hardware

A100 = dump_accelerator(accelerator_files()["a100-sxm4-80gb"])


def lint(folder: Path, text: str, name: str = "a100-sxm4-80gb") -> str:
    """Everything said about `text` as a file of that name."""
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return "\n".join(map(str, lint_file(path)))


def test_the_catalogue_is_clean() -> None:
    """No rule fires on hardware/: accelerators, clusters and links."""
    assert lint_hardware([root() / "hardware"]) == []


def test_a_new_file_is_clean(tmp_path: Path) -> None:
    """`hardware new` writes a file that passes check."""
    assert lint(tmp_path, new_accelerator("my-chip"), "my-chip") == ""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("capacity: 80 GiB", "capacity: 80 GB", "80 GiB"),  # sold in GB, built in GiB
        ("capacity: 80 GiB", "capacity: 10 GiB", "to read at full bandwidth"),  # Gb for GB: 5 ms
        ("2.039 TB/s", "203.9 GB/s", "to read at full bandwidth"),  # a digit lost: 421 ms
        ("2.039 TB/s", "1899 GiB/s", "sold in GB/s"),
        ("int8: {peak: 624 TFLOP/s}", "int8: {peak: 1248 TFLOP/s}", "four times"),  # INT8 with sparsity
        ("tf32: {peak: 156 TFLOP/s}", "tf32: {peak: 78 TFLOP/s}", "four times"),
        ("types: [nvlink3", "types: [nvlink33", 'did you mean "nvlink3"?'),
        ("date: 2020-11-16", "date: November 2020", "year-month"),
        ("name: a100-sxm4-80gb", "name: A100", "lower case"),
        ("name: a100-sxm4-80gb", "name: a100", "differs from the file's name"),
    ],
)
def test_each_slip_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    """One change to a clean file, one complaint that names it."""
    assert old in A100
    assert said in lint(tmp_path, A100.replace(old, new))


def test_sparse_peaks_throughout_are_found_by_the_generation(tmp_path: Path) -> None:
    """All matrix rates doubled keep their ratios; a hundred and eight engines of other Ampere chips give them away."""
    text = A100.replace("312 TFLOP/s", "624 TFLOP/s").replace("156 TFLOP/s", "312 TFLOP/s")
    text = text.replace("int8: {peak: 624 TFLOP/s}", "int8: {peak: 1248 TFLOP/s}")
    assert "times that of ampere chips" in lint(tmp_path, text)


def test_missing_sources_are_found(tmp_path: Path) -> None:
    """Each group without a source is one complaint."""
    text = "\n".join(line for line in A100.splitlines() if not line.startswith("  source"))
    said = lint(tmp_path, text)
    assert all(f"{group}.source: has no source" in said for group in ("compute", "memory", "cache", "links", "power"))


CLUSTER = """name: c
accelerator: a100-sxm4-80gb
levels:
  - {name: node, topology: switch, size: 8, link: {like: nvlink3, bandwidth: BW}}
source: test
"""


@pytest.mark.parametrize(
    ("bandwidth", "said"),
    [("600 GB/s", "counts both directions"), ("2400 GB/s", "bits as bytes"), ("262 GB/s", "")],
)
def test_bandwidths_of_links_are_per_direction(tmp_path: Path, bandwidth: str, said: str) -> None:
    """NVLink3 is sold as 600 GB/s and carries 300 GB/s per direction."""
    found = lint(tmp_path, CLUSTER.replace("BW", bandwidth), "c")
    assert said in found if said else found == ""


def test_links_file_is_linted(tmp_path: Path) -> None:
    """A link type with both directions and without a source is two complaints, each on its line."""
    path = tmp_path / "links.yaml"
    path.write_text("nvlink4:\n  bandwidth: 900 GB/s\n  latency: 1 us\n")
    rules = [(problem.line, problem.path) for problem in lint_file(path)]
    assert rules == [(2, "nvlink4.bandwidth"), (2, "nvlink4.source")]


def test_unknown_accelerator_of_a_cluster_is_found(tmp_path: Path) -> None:
    """A cluster stands on a chip of the catalogue."""
    text = CLUSTER.replace("a100-sxm4-80gb", "a100-sxm4-90gb").replace("BW", "300 GB/s")
    assert "no such accelerator" in lint(tmp_path, text, "c")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("host: [[1]]", "host: must be a mapping, got a list"),
        ("host: {name: mine, zzz: 1}", "host.zzz: unknown key"),
        ("storage: 5", "storage: must be a mapping, got 5"),
    ],
)
def test_host_and_storage_written_out_in_a_cluster_are_read(tmp_path: Path, part: str, said: str) -> None:
    """As a scenario reads them."""
    assert said in lint(tmp_path, f"extends: dgx-a100\nname: mine\n{part}\n", "mine")


@pytest.mark.parametrize(
    ("name", "rate"),
    [("infiniband-ndr-sharp", 50e9), ("infiniband-ndr-mine", 50e9), ("roce-400g", 50e9), ("my-link", None)],
)
def test_rates_known_by_name(name: str, rate: float | None) -> None:
    """4x NDR is 400 Gb/s = 50 GB/s; an unknown link has no known rate."""
    assert known_rate(name) == rate


GIGA = 1e9
VENDORS = {
    "nvlink1": 80, "nvlink2": 150, "nvlink3": 300, "nvlink4": 450, "nvlink5": 900, "nvlink6": 1800,
    "pcie3-x16": 15.75, "pcie4-x16": 31, "pcie5-x16": 63, "pcie6-x16": 121,
    "infiniband-fdr": 6.8, "infiniband-edr": 12.5, "infiniband-hdr": 25, "infiniband-ndr": 50, "infiniband-xdr": 100,
}  # fmt: skip


def test_shipped_rates_are_those_of_their_vendors() -> None:
    """One direction, all links of a device (vendor pages by way of stas00/ml-engineering); Ethernet: the number of its
    name in Gb/s."""
    links = load_links()
    assert {name: links[name].bandwidth / GIGA for name in VENDORS} == pytest.approx(VENDORS, rel=0.05)
    for name, link in links.items():
        match = re.fullmatch(r"(?:roce|tcp|omnipath|slingshot)-(\d{2,3})g?", name)
        if match and name not in ("slingshot-10", "slingshot-11"):  # generations, not rates
            assert link.bandwidth == pytest.approx(float(match[1]) * GIGA / 8, rel=0.05), name


def test_in_a_file_of_ones_own_a_double_rate_is_advice(tmp_path: Path) -> None:
    """`check` says so and accepts it; a link without `like` has nothing to inherit: it says what it costs."""
    path = tmp_path / "c.yaml"
    path.write_text(CLUSTER.replace("BW", "600 GB/s").replace("source: test\n", ""), encoding="utf-8")
    finding = check_file(path)
    assert finding.problems == ()
    assert [p.rule for p in finding.advice] == ["has no source", "counts both directions"]
    path.write_text(CLUSTER.replace("{like: nvlink3, bandwidth: BW}", "{bandwidth: 9 GB/s, latency: 1 us}"), "utf-8")
    (problem,) = check_file(path).problems
    assert (problem.line, problem.path) == (4, "levels.0.link")
    assert problem.rule.startswith("without `like` says its own efficiency and base")


def test_errors_of_the_schema_come_through(tmp_path: Path) -> None:
    """A file that cannot be read is its own problem, not an exception."""
    assert "needs a unit" in lint(tmp_path, A100.replace("80 GiB", "80"))


def test_a_chip_that_states_little_but_its_generation_is_a_chip(tmp_path) -> None:
    """`check` takes it for what `run` takes it: an accelerator laid over another."""
    path = tmp_path / "mine.yaml"
    path.write_text("extends: h100-sxm5-80gb\nname: mine\ngeneration: hopper\n", encoding="utf-8")
    found = check_file(path)
    assert (found.kind, found.problems) == ("accelerator", ())
