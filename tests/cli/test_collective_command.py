"""`foretrain collective` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.cli import main
from sim.files.clusters import load_cluster
from sim.workload.chakra import Node, Trace, write_trace

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


def test_astra_files_answer_under_congestion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--congestion`: a ring of 512, 64 MiB in 4 chunks, reductions at 1600 GB/s: ASTRA-sim 518bd513 answered 4,701,240
    ns; two dimensions are refused."""
    network, system = tmp_path / "network.yml", tmp_path / "system.json"
    network.write_text("topology: [Ring]\nnpus_count: [512]\nbandwidth: [50]\nlatency: [500]\n", encoding="utf-8")
    given = {"preferred-dataset-splits": 4, "local-mem-bw": 1600, "all-reduce-implementation": ["ring"]}
    system.write_text(json.dumps(given), encoding="utf-8")
    args = ("--astra-system", str(system), "--congestion", "--bytes", "64MiB", "--json")
    code, out, _ = run(capsys, str(network), *args)
    assert code == 0
    assert json.loads(out)["rows"][0]["time_s"] == pytest.approx(4_701_240e-9, rel=1e-9)
    network.write_text(NETWORK, encoding="utf-8")
    system.write_text(json.dumps(SYSTEM), encoding="utf-8")
    code, _, err = run(capsys, str(network), *args)
    assert code == 2
    assert "--congestion: is known for one dimension" in err


def test_a_trace_runs_on_an_astra_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--workload`: 500 us of computation beside an all-reduce that ASTRA-sim 518bd513 answered with 691,215 ns, and
    100 us behind it."""
    (tmp_path / "network.yml").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "system.json").write_text(json.dumps(SYSTEM), encoding="utf-8")
    reduce = Node(1, "sum", "comm_coll", attributes={"comm_type": 0, "comm_size": 64 * 2**20})
    nodes = (reduce, Node(2, "step", duration_us=500), Node(3, "update", data=(1, 2), duration_us=100))
    write_trace(Trace(nodes), tmp_path / "step.et")
    network, trace = str(tmp_path / "network.yml"), str(tmp_path / "step.et")
    args = ("--astra-system", str(tmp_path / "system.json"), "--workload", trace)
    code, out, _ = run(capsys, network, *args, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["time_ns"] == 691_215 + 100_000
    assert (found["compute_ns"], found["communication_ns"], found["exposed_ns"]) == (600_000, 691_215, 191_215)
    code, out, _ = run(capsys, network, *args)
    assert "step.et on network.yml, 512 devices" in out
    code, _, err = run(capsys, network, *args, "--bytes", "1MiB", "--op", "all-gather")
    assert code == 2
    assert "--bytes: goes without --workload" in err
    assert "--op: goes without --workload" in err


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
        (("dgx-h100", "--algorithm", "magic"), "--algorithm: no such algorithm"),
        (("dgx-h100", "--group", "0,0"), "--group: every rank may occur once"),
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
        (
            ("dgx-h100-superpod", "--level", "message"),
            "--level: at most 256 ranks are simulated at this level, not 4,608",
        ),
        (("dgx-h100-superpod", "--level", "phase"), "at most 1,024 ranks"),
        (
            ("dgx-h100-superpod", "--group", "0-255", "--algorithm", "ring", "--level", "flow"),
            "at most 250,000 messages",
        ),
        (("dgx-h100", "--op", "send", "--level", "flow"), "a send is one message"),
        (("dgx-h100", "--algorithm", "ring/low-latency", "--level", "phase"), "no messages of its own"),
        (("dgx-h100", "--pieces", "8"), "--pieces: goes with --level"),
        (("dgx-h100", "--level", "atoms"), "--level"),
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


LEVELS = ("closed", "phase", "flow", "message")


@pytest.mark.parametrize("op", ["all-reduce", "all-gather", "all-to-all"])
def test_levels_of_detail_agree_where_nothing_contends(capsys: pytest.CaptureFixture[str], op: str) -> None:
    """Eight ranks on one switch: ring 2(N-1) or N-1 steps, pairwise N-1 steps of launch + 2α + S/(N·B), four ways."""
    algorithm = "pairwise" if op == "all-to-all" else "ring"
    times = {}
    for level in LEVELS:
        code, out, _ = run(
            capsys, "dgx-h100", "--op", op, "--bytes", "64MiB", "--algorithm", algorithm, "--level", level, "--json"
        )
        assert code == 0
        found = json.loads(out)
        assert found["level"] == level
        times[level] = found["rows"][0]["time_s"]
        assert found["rows"][0].get("closed_s", times["closed"]) == pytest.approx(times["closed"], rel=1e-9)
    node = load_cluster("dgx-h100").levels[0].link
    steps = 14 if op == "all-reduce" else 7
    expected = node.base_s + steps * (2 * node.latency_s + 2**26 / 8 / (node.bandwidth * node.efficiency))
    assert times == pytest.approx(dict.fromkeys(LEVELS, expected), rel=1e-9)


FUNNEL = """name: funnel
accelerator: h100-sxm5-80gb
levels:
  - name: net
    topology: fat_tree
    size: 8
    link: {bandwidth: 8 GB/s, latency: 1 us, efficiency: 1, base: 0 us}
    oversubscription: 4
    options: {leaf: 4}
"""


@pytest.mark.parametrize("level", LEVELS)
def test_groups_that_meet_on_a_trunk_share_it_at_every_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], level: str
) -> None:
    """A leaf of 4 ports with one trunk of a port's rate: pairs r, r+4 get a quarter of it each, one pair alone all:
    2·(4 hops·α + pairs·S/2/B) for a direct all-reduce of two. One message after the other, the latency of the second
    half passes while others are on the trunk."""
    path = tmp_path / "funnel.yaml"
    path.write_text(FUNNEL, encoding="utf-8")
    for group, pairs in (("2x4", 4), ("0,4", 1)):
        args = ("--bytes", "8000000", "--algorithm", "direct", "--level", level, "--group", group, "--json")
        code, out, _ = run(capsys, str(path), *args)
        assert code == 0
        hidden = 4e-6 if level == "message" and pairs > 1 else 0.0
        seconds = 2 * (4e-6 + pairs * 4e6 / 8e9) - hidden
        assert json.loads(out)["rows"][0]["time_s"] == pytest.approx(seconds, rel=1e-9)


def test_a_reduction_in_switches_is_written_out_with_its_switches(capsys: pytest.CaptureFixture[str]) -> None:
    """K pieces up and down, one behind the other: launch + (K+1)(α + S/(K·B)) at every level."""
    node = load_cluster("dgx-h100").levels[0].link
    piece = node.latency_s + 2**26 / 16 / (node.bandwidth * node.efficiency)
    for level in LEVELS[1:3]:
        code, out, _ = run(
            capsys,
            "dgx-h100",
            "--bytes",
            "64MiB",
            "--algorithm",
            "switch",
            "--level",
            level,
            "--pieces",
            "16",
            "--json",
        )
        assert code == 0
        assert json.loads(out)["rows"][0]["time_s"] == pytest.approx(node.base_s + 17 * piece, rel=1e-9)


@pytest.mark.parametrize("op", ["all-reduce", "send", "barrier", "all-to-all"])
@pytest.mark.parametrize("algorithm", ["auto", "all"])
def test_one_device_communicates_in_no_time(capsys: pytest.CaptureFixture[str], op: str, algorithm: str) -> None:
    """A cluster of one device (cs-3), or a group of one."""
    for args in (("cs-3",), ("dgx-h100", "--group", "1")):
        size = () if op == "barrier" else ("--bytes", "1MiB")
        code, out, _ = run(capsys, *args, "--op", op, "--algorithm", algorithm, *size, "--json")
        assert code == 0
        assert json.loads(out)["rows"][0]["time_s"] == 0


def test_what_a_collective_does_not_read_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A barrier moves no buffer; a ring cuts none into pieces, a switch does."""
    for given in (("--bytes", "3"), ("--pieces", "3", "--level", "phase"), ("--from", "1MiB", "--factor", "4")):
        code, _, err = run(capsys, "dgx-h100", "--op", "barrier", *given)
        assert (code, "a barrier moves no buffer" in err) == (2, True)
    pieces = ("--level", "phase", "--pieces", "4", "--bytes", "1MiB", "--algorithm")
    assert "advice: --pieces: is not read" in run(capsys, "dgx-h100", *pieces, "ring")[2]
    assert run(capsys, "dgx-h100", *pieces, "switch")[2] == ""


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


@pytest.mark.parametrize(
    ("system", "says"),
    [
        ('{"all-reduce-implementation": [["ring"], 3]}', ":1:31: all-reduce-implementation: must be a list of names"),
        ('{"endpoint-delay": 1e400}', ":1:20: endpoint-delay: must be a number from 0"),
        ('{"preferred-dataset-splits": 1e30}', ":1:30: preferred-dataset-splits: must be a number from 0 to 4,096"),
        ('{"collective-optimization": 5}', ":1:29: collective-optimization: must be one of localBWAware, baseline"),
        ("[1, 2]", ":1:1: must be a JSON object"),
    ],
)
def test_a_wrong_system_file_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], system: str, says: str
) -> None:
    (tmp_path / "network.yml").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "system.json").write_text(system, encoding="utf-8")
    code, _, err = run(capsys, str(tmp_path / "network.yml"), "--astra-system", str(tmp_path / "system.json"))
    assert code == 2
    assert says in err


def test_astra_semantics_refuse_what_they_would_ignore(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Groups, our algorithms, and writing what was just read."""
    (tmp_path / "network.yml").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "system.json").write_text(json.dumps(SYSTEM), encoding="utf-8")
    network, system = str(tmp_path / "network.yml"), str(tmp_path / "system.json")
    for args, says in (
        (("--astra-system", system, "--group", "4"), "--group: goes without --astra-system"),
        (("--astra-system", system, "--algorithm", "ring"), "--algorithm: goes without"),
        (("--astra-system", system, "--level", "flow"), "--level: goes without"),
        (("--write-astra", str(tmp_path / "x.yml")), "network file already"),
        (("--congestion",), "--congestion: goes with --astra-system"),
        (("--workload", "step.et"), "--workload: goes with --astra-system"),
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


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--bytes", "1MiB", "--from", "1KiB"), "leave out --from"),
        (("--bytes", "1MiB", "--to", "1GiB", "--factor", "4"), "leave out --to, --factor"),
        (("--json", "--format", "csv"), "give one of them"),
        (("--format", "markdown", "--json"), "give one of them"),
    ],
)
def test_options_that_exclude_each_other_are_refused(run, options, told):
    """None of two sizes or forms is dropped in silence."""
    outcome = run("collective", "dgx-a100", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert told in outcome.err
