"""`foretrain hardware` and `foretrain footprint` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.cli import main
from sim.cli.footprint import command as footprint_command
from sim.cli.hardware import command as hardware_command
from sim.errors import InputError
from sim.files.checking import check_file
from sim.files.hardware import load_accelerator
from sim.files.lint import lint_file


def said(*args: str) -> str:
    """stdout of a command that succeeds."""
    found = CliRunner().invoke(hardware_command, list(args), catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_list_json_has_both_kinds() -> None:
    """`hardware list --json` has `accelerators` and `clusters`, SI numbers with the unit in the key."""
    payload = json.loads(said("list", "--json"))
    chips = {row["name"]: row for row in payload["accelerators"]}
    assert chips["a100-sxm4-80gb"]["memory_capacity_bytes"] == 80 * 2**30
    assert {row["name"] for row in payload["clusters"]} >= {"dgx-a100-superpod", "paper-2019-ring"}


def test_list_filters_by_status() -> None:
    """Announced parts alone."""
    rows = json.loads(said("list", "--status", "announced", "--json"))["accelerators"]
    assert {row["status"] for row in rows} == {"announced"}


def test_show_tells_sources_and_ridge() -> None:
    """A chip with its formats, what is reached, and where the figures come from."""
    text = said("show", "h100-sxm5-80gb")
    assert "FLOP/B" in text
    assert "Llama 3 report" in text


def test_show_resizes_a_cluster() -> None:
    """`--devices 64` keeps nodes of eight."""
    rows = json.loads(said("show", "dgx-h100-superpod", "--devices", "64", "--json"))["cluster"]
    assert rows["devices"] == 64
    assert [level["sizes"] for level in rows["levels"]] == [[8], [8]]


def test_show_of_an_unknown_name_suggests() -> None:
    """Names of both kinds are near misses."""
    with pytest.raises(InputError, match="dgx-a100-superpod"):
        said("show", "dgx-a100-superpodd")


def test_new_writes_a_file_that_passes_and_keeps_what_is_there(tmp_path: Path) -> None:
    """A second time without --force is refused."""
    path = tmp_path / "my-chip.yaml"
    said("new", "my-chip", "-o", str(path), "--quiet")
    assert lint_file(path) == []
    assert path.read_text().count("#") > 10
    with pytest.raises(InputError, match="exists already"):
        said("new", "my-chip", "-o", str(path))


def test_project_writes_and_prints(tmp_path: Path) -> None:
    """The JSON has the distance of the extrapolation, the file is a chip."""
    path = tmp_path / "next.yaml"
    args = ("project", "h100-sxm5-80gb", "--year", "2031", "--power", "1000W", "-o", str(path), "--json", "--quiet")
    payload = json.loads(said(*args))
    assert payload["extrapolated"] is True
    assert payload["metrics"]["power"]["value"] == 1000.0
    assert lint_file(path) == []


@pytest.mark.parametrize("option", [("--power", "1000"), ("--price", "5 W"), ("--power", "0 W")])
def test_project_refuses_bare_numbers(option: tuple[str, str]) -> None:
    """Power and price are quantities."""
    with pytest.raises(InputError, match=option[0]):
        said("project", "h100-sxm5-80gb", "--year", "2031", *option)


def test_footprint_json() -> None:
    """Six variants and the training beside them."""
    found = CliRunner().invoke(footprint_command, ["gpt2", "--json", "--batch", "4"], catch_exceptions=False)
    payload = json.loads(found.stdout)
    assert [v["name"] for v in payload["variants"]] == [
        "fp32", "16-bit", "fp8", "int8", "int4 weights", "pruned 2:4", "distilled"
    ]  # fmt: skip
    assert payload["training"]["device_s"] > 0


def test_show_draws_a_cluster(tmp_path: Path) -> None:
    """`--draw FILE.html` writes the picture; a chip has none."""
    path = tmp_path / "node.html"
    said("show", "dgx-h100", "--draw", str(path))
    assert 'id="topology"' in path.read_text(encoding="utf-8")
    refused = CliRunner().invoke(hardware_command, ["show", "t4", "--draw", str(path)])
    assert refused.exit_code == 2


def test_the_picture_is_coloured_by_the_collective_asked_for(tmp_path: Path) -> None:
    """`--op`, `--bytes`, `--algorithm`; they go with `--draw`, and the file is a picture or a page."""
    path = tmp_path / "a.html"
    said("show", "dgx-h100", "--draw", str(path), "--op", "all-to-all", "--bytes", "1MiB")
    assert "all-to-all 1.05 MB" in path.read_text(encoding="utf-8")
    for wrong, says in (
        (("--op", "all-reduce"), "go with --draw"),
        (("--draw", "x.png"), "must end in .html"),
        (("--draw", str(path), "--algorithm", "magic"), "no such algorithm"),
    ):
        refused = CliRunner().invoke(hardware_command, ["show", "dgx-h100", *wrong])
        assert refused.exit_code
        assert says in refused.output + str(refused.exception)


def test_new_makes_a_chip_from_a_budget(tmp_path: Path) -> None:
    """The balance is printed, the file passes check and has the figures printed; without a name nothing is written."""
    path = tmp_path / "mine.yaml"
    budget = ("--area", "600mm2", "--power", "1kW", "--stacks", "8", "--node", "N3")
    found = json.loads(said("new", "mine", *budget, "--json", "-o", str(path), "--quiet"))
    assert sum(found["area_mm2"].values()) == pytest.approx(600.0)
    assert found["bandwidth_bytes_per_s"] == load_accelerator(path).memory.bandwidth
    assert load_accelerator(path).compute["bf16"].peak_flops == pytest.approx(found["peak_flops"]["bf16"], rel=1e-5)
    assert "cost of making" in said("new", *budget)
    assert list(tmp_path.iterdir()) == [path]


def test_new_prints_known_chips_from_their_budgets() -> None:
    """Every figure with its error; held out or not."""
    text = said("new", "--check")
    assert "h100    peak       989 TFLOP/s" in text
    assert json.loads(said("new", "--check", "--json"))["largest_held_out_error"] < 0.2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--area", "600mm2", "--power", "1kW"), "--stacks: is required"),
        (("--area", "600mm2", "--power", "1kW", "--stacks", "8", "--cluster"), "do not go together"),
        (("--check", "mine"), "--check goes alone"),
        ((), "say NAME"),
        (("--area", "60mm2", "--power", "1kW", "--stacks", "8"), "does not hold its blocks"),
    ],
)
def test_new_refuses_half_a_budget(options: tuple[str, ...], says: str) -> None:
    """With what is missing, or what binds."""
    refused = CliRunner().invoke(hardware_command, ["new", *options])
    assert refused.exit_code
    assert says in refused.output + str(refused.exception)


def test_process_prints_every_coefficient_with_its_source() -> None:
    """As the files have them, JSON and CSV alike."""
    found = json.loads(said("process", "--json"))["figures"]
    cell = next(row for row in found if (row["of"], row["figure"]) == ("n3", "sram"))
    assert cell["value"] == 0.021
    assert cell["unit"] == "µm²"
    assert all(
        row["low"] <= row["value"] <= row["high"] and row["source"] and row["confidence"] in "ABCD" for row in found
    )
    assert len(said("process", "--format", "csv").splitlines()) == len(found) + 1
    assert "N3E's cell is N5's" in said("process")


CHIP_OVER = """
extends: dgx-h100
name: over
accelerator: {memory: {capacity: 200 GB}}
"""
OWN_CHIP = """
extends: dgx-h100
name: own
accelerator: {name: foo, budget: {area: 800mm2, power: 1kW, stacks: 4, links: [nvlink4]}}
"""
CHIP_FILE = """
extends: dgx-h100
name: beside
accelerator: chip.yaml
"""


@pytest.mark.parametrize(("text", "chip"), [(CHIP_OVER, "h100-sxm5-80gb"), (OWN_CHIP, "foo"), (CHIP_FILE, "my-chip")])
def test_a_cluster_file_that_extends_one_is_one(tmp_path: Path, text: str, chip: str) -> None:
    """It is shown, projected and checked as the cluster a scenario would make of it: eight of its own chip."""
    (tmp_path / "chip.yaml").write_text("{extends: h100-sxm5-80gb, name: my-chip, price: {purchase: 20000 USD}}")
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    shown = json.loads(said("show", str(file), "--json"))["cluster"]
    assert (shown["devices"], shown["accelerator"]) == (8, chip)
    assert chip in said("project", str(file), "--year", "2027", "-q")
    assert check_file(file).kind == "cluster"
    assert not check_file(file).problems


def test_what_a_chip_over_a_named_one_states_is_in_the_sum(tmp_path: Path) -> None:
    """Eight times 200 GB."""
    (tmp_path / "cluster.yaml").write_text(CHIP_OVER)
    assert "1.60 TB of memory" in said("show", str(tmp_path / "cluster.yaml"))


def test_a_file_of_neither_kind_is_told_so(tmp_path: Path) -> None:
    """Not as an accelerator that lacks everything."""
    (tmp_path / "name.yaml").write_text("name: foo")
    with pytest.raises(InputError, match=r"neither an accelerator .* nor a cluster"):
        said("show", str(tmp_path / "name.yaml"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("new", "x", "--stacks", "4", "--budget", "stacks=7"), "stated twice: stacks"),
        (("project", "dgx-h100", "--year", "2030", "--low"), "--low chooses the machine that -o writes"),
    ],
)
def test_nothing_is_ignored_in_silence(options: tuple[str, ...], says: str) -> None:
    """Two figures for one field, an edge where nothing is written."""
    found = CliRunner().invoke(hardware_command, list(options))
    assert found.exit_code == 2
    assert says in found.output


def test_flags_of_one_choice_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither edge is the one meant for certain."""
    with pytest.raises(SystemExit, match="2"):
        main(["hardware", "project", "h100-sxm5-80gb", "--year", "2031", "--low", "--high", "-o", "chip.yaml"])
    assert "--low and --high exclude each other" in capsys.readouterr().err
