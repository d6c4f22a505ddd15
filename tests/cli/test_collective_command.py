"""`foretrain collective` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.cli import main

NETWORK = "topology: [Ring, Switch]\nnpus_count: [8, 64]\nbandwidth: [300.0, 50.0]\nlatency: [500, 500]\n"
SYSTEM = {"endpoint-delay": 1, "preferred-dataset-splits": 1, "all-reduce-implementation": ["ring", "halvingDoubling"]}


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as left:
        main(["collective", *args])
    out = capsys.readouterr()
    return int(left.value.code or 0), out.out, out.err


def test_one_size_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """`--bytes` gives one row with the promised keys; busbw of 8 H100 near what nccl-tests measure (480 GB/s)."""
    code, out, _ = run(capsys, "dgx-h100", "--bytes", "16GiB", "--group", "8", "--json")
    assert code == 0
    (row,) = json.loads(out)["rows"]
    assert row["bytes"] == 2**34
    assert row["busbw_bytes_per_s"] == pytest.approx(480e9, rel=0.15)
    assert row["time_s"] == pytest.approx(row["bytes"] / row["algbw_bytes_per_s"])


def test_a_table_over_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    """`--from --to --factor`; every size a line."""
    code, out, _ = run(capsys, "dgx-h100", "--from", "1KiB", "--to", "1MiB", "--factor", "4", "--algorithm", "all")
    assert code == 0
    assert all(size in out for size in ("1 KiB", "4 KiB", "1 MiB"))
    assert "busiest links" in out


def test_astra_files_answer_to_the_nanosecond(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ring 8 × Switch 64 at 300/50, 64 MiB, exact: ASTRA-sim 518bd513 answered 691,215 ns."""
    (tmp_path / "network.yml").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "system.json").write_text(json.dumps(SYSTEM), encoding="utf-8")
    network, system = str(tmp_path / "network.yml"), str(tmp_path / "system.json")
    code, out, _ = run(capsys, network, "--astra-system", system, "--bytes", str(64 * 2**20), "--json")
    assert code == 0
    assert json.loads(out)["rows"][0]["time_s"] == pytest.approx(691_215e-9, rel=1e-9)
    code, out, _ = run(capsys, network, "--bytes", "64MiB", "--json")
    assert code == 0
    assert json.loads(out)["devices"] == 512


def test_a_cluster_is_written_as_network_yml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--write-astra` writes a file that this command reads again."""
    path = tmp_path / "out.yml"
    assert run(capsys, "tpu-v4-pod", "--bytes", "1MiB", "--write-astra", str(path))[0] == 0
    assert run(capsys, str(path), "--bytes", "1MiB")[0] == 0


def test_the_plot_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--plot file.html`, told on stderr."""
    path = tmp_path / "bus.html"
    code, _, err = run(capsys, "dgx-h100", "--plot", str(path))
    assert code == 0
    assert 'id="busbw"' in path.read_text(encoding="utf-8")
    assert str(path) in err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("dgx-h100", "--algorithm", "magic"), "no such algorithm"),
        (("dgx-h100", "--group", "0,0"), "may occur once"),
        (("dgx-h100", "--group", "0"), "at least one rank"),
        (("dgx-h100", "--group", "5-2"), "runs upwards"),
        (("dgx-h100", "--group", "2x8", "--op", "send"), "need 16 devices"),
        (("dgx-h100", "--algorithm", "ring", "--op", "send"), "without algorithms"),
        (("dgx-h100", "--op", "barrier", "--plot", "x.html"), "no bytes to draw"),
        (("dgx-h100", "--factor", "1.00001"), "more than 10,000 sizes"),
        (("dgx-h100", "--group", "4x"), "SIZExSTRIDE"),
        (("dgx-h100", "--bytes", "8 parsecs"), "--bytes"),
        (("dgx-h100", "--from", "2MiB", "--to", "1MiB"), "sizes run"),
        (("dgx-h1000",), "no such cluster"),
        (("dgx-h100", "--astra-system", "x.json"), "network.yml"),
    ],
)
def test_bad_input_is_exit_2_with_the_reason(
    args: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr, no traceback."""
    code, _, err = run(capsys, *args)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("op", ["all-reduce", "send", "barrier", "all-to-all"])
@pytest.mark.parametrize("algorithm", ["auto", "all"])
def test_one_device_communicates_in_no_time(capsys: pytest.CaptureFixture[str], op: str, algorithm: str) -> None:
    """A cluster of one device (cs-3), or a group of one."""
    for args in (("cs-3",), ("dgx-h100", "--group", "1")):
        code, out, _ = run(capsys, *args, "--op", op, "--algorithm", algorithm, "--bytes", "1MiB", "--json")
        assert code == 0
        assert json.loads(out)["rows"][0]["time_s"] == 0


def test_a_barrier_is_one_row_without_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    """Sizes mean nothing to it."""
    code, out, _ = run(capsys, "dgx-h100", "--op", "barrier", "--json")
    (row,) = json.loads(out)["rows"]
    assert code == 0
    assert row["bytes"] == row["busbw_bytes_per_s"] == 0
    assert row["time_s"] > 0


def test_a_listed_send_goes_from_rank_to_rank(capsys: pytest.CaptureFixture[str]) -> None:
    """0 → 3 inside a node of 450 GB/s; 0 → 8 between nodes of one 50 GB/s card a device."""
    times = []
    for pair in ("0,3", "0,8"):
        code, out, _ = run(capsys, "dgx-h100-superpod", "--op", "send", "--group", pair, "--bytes", "8GiB", "--json")
        assert code == 0
        times.append(json.loads(out)["rows"][0]["time_s"])
    assert times[1] > 5 * times[0]


def test_astra_semantics_refuse_what_they_would_ignore(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Groups, our algorithms, and writing what was just read."""
    (tmp_path / "network.yml").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "system.json").write_text(json.dumps(SYSTEM), encoding="utf-8")
    network, system = str(tmp_path / "network.yml"), str(tmp_path / "system.json")
    for args, says in (
        (("--astra-system", system, "--group", "4"), "--group: goes without --astra-system"),
        (("--astra-system", system, "--algorithm", "ring"), "--algorithm: goes without"),
        (("--write-astra", str(tmp_path / "x.yml")), "network file already"),
    ):
        code, _, err = run(capsys, network, *args)
        assert code == 2
        assert says in err
    code, _, err = run(capsys, "cs-3", "--write-astra", str(tmp_path / "x.yml"))
    assert code == 2
    assert "one device" in err


def test_links_of_a_huge_cluster_have_names(capsys: pytest.CaptureFixture[str]) -> None:
    """75,264 devices: the busiest links by their ends."""
    code, out, _ = run(capsys, "frontier", "--bytes", "1MiB", "--json")
    assert code == 0
    assert all("link" not in link["source"] and link["target"] for link in json.loads(out)["busiest_links"])
