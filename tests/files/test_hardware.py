"""The catalogue: what the files say becomes SI records, gaps filled from the generation, sizes changed on request."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.device import Accelerator
from sim.errors import InputError
from sim.files.clusters import list_clusters, load_cluster, load_links, read_cluster
from sim.files.hardware import (
    accelerator_files,
    list_accelerators,
    load_accelerator,
    load_accelerator_file,
    load_catalogue,
)
from sim.files.hardware_text import dump_accelerator, new_accelerator
from sim.files.loader import parse
from sim.network import resize
from sim.network.records import Cluster, Edge, Level, LinkType

LINK = LinkType("x", 1e9, 1e-6)
MINIMAL = """
name: tiny
compute: {formats: {fp32: {peak: 1 TFLOP/s, unit: vector}}}
memory: {capacity: 1 GiB, bandwidth: 100 GB/s}
cache: {capacity: 1 MiB}
"""


def test_an_edge_of_a_type_carries_what_a_port_of_that_type_does(tmp_path: Path) -> None:
    """NVLink 4 by name: 450 GB/s times its payload share, as on a level."""
    path = tmp_path / "pair.yaml"
    path.write_text(
        "name: pair\naccelerator: h100-sxm5-80gb\ngraph:\n  edges:\n    - {ends: [0, 1], link: nvlink4}\n",
        encoding="utf-8",
    )
    link = load_links()["nvlink4"]
    assert {edge.bandwidth for edge in load_cluster(path).edges} == {link.bandwidth * link.efficiency}


def test_catalogue_is_large_enough() -> None:
    """At least 40 accelerators and 20 clusters, each under the name of its file."""
    assert len(list_accelerators()) >= 40
    assert len(list_clusters()) >= 20
    assert all(name == file.name for name, file in accelerator_files().items())


@pytest.mark.parametrize(
    ("name", "format_", "flops"),
    [  # dense peaks of the data sheets (A100 2020, H100 2022, V100 2017) and of the paper's Table 4
        ("a100-sxm4-80gb", "bf16", 312e12),
        ("h100-sxm5-80gb", "bf16", 989.4e12),
        ("h100-sxm5-80gb", "fp8", 1979e12),
        ("v100-sxm2-32gb", "fp16", 125e12),
        ("paper-2019", "fp32", 15.67e12),
    ],
)
def test_peaks_are_dense(name: str, format_: str, flops: float) -> None:
    """The headline numbers with 2:4 sparsity are twice these."""
    assert {str(k): v for k, v in load_accelerator(name).compute.items()}[format_].peak_flops == flops


def test_hbm_capacity_is_binary_and_bandwidth_decimal() -> None:
    """80 GB of HBM are 80 GiB; 2039 GB/s are 2039·10⁹ B/s."""
    memory = load_accelerator("a100-sxm4-80gb").memory
    assert memory.capacity_bytes == 80 * 2**30
    assert memory.bandwidth == 2039e9


def test_boards_with_two_devices_count_as_one_device() -> None:
    """What software sees of a K80 is half a board: 12 GiB and 240 GB/s; of a MI250X one GCD with 64 GiB."""
    assert load_accelerator("k80").memory.capacity_bytes == 12 * 2**30
    assert load_accelerator("k80").memory.bandwidth == 240e9
    assert load_accelerator("mi250x-gcd").memory.capacity_bytes == 64 * 2**30


def test_paper_accelerator_is_an_ideal_roofline() -> None:
    """Table 4 with its 80 % and 70 % and nothing else: no launch time, no tiles, no reserve."""
    chip = load_accelerator("paper-2019")
    assert chip.compute["fp32"].achievable == 0.8
    assert chip.memory.achievable == 0.7
    assert (chip.kernel_overhead_s, chip.host_s, chip.sustained, chip.memory.reserve_bytes) == (0.0, 0.0, 1.0, 0.0)
    assert chip.matrix_unit is None


def test_every_figure_of_the_catalogue_has_a_source() -> None:
    """Source and confidence stand on each group."""
    for chip in load_catalogue():
        assert {"compute", "memory", "cache"} <= set(chip.sources), chip.name


def test_fits_see_shipped_chips_only() -> None:
    """Announced and hypothetical parts are listed and never fitted."""
    assert {chip.status for chip in load_catalogue()} == {"shipped", "announced", "hypothetical"}
    assert {chip.status for chip in load_catalogue(fits=True)} == {"shipped"}


def test_measured_ceiling_wins_over_the_generation() -> None:
    """MI325X was measured at 0.60, its generation (MI300X) at 0.511; a V100 has no measurement and takes Volta's."""
    assert load_accelerator("mi325x").compute["bf16"].achievable == pytest.approx(784.9 / 1307.4, rel=0.01)
    assert load_accelerator("v100-sxm2-32gb").compute["fp16"].achievable == 0.80


def test_a_file_with_the_bare_minimum_is_a_chip(tmp_path: Path) -> None:
    """Peaks, memory and cache suffice; the rest comes from the hypothetical generation."""
    path = tmp_path / "tiny.yaml"
    path.write_text(MINIMAL)
    chip = load_accelerator(path)
    assert chip.status == "hypothetical"
    assert 0 < chip.memory.achievable < 1
    assert chip.kernel_overhead_s > 0


def test_a_file_may_extend_a_chip_of_the_catalogue(tmp_path: Path) -> None:
    """`extends` changes what is written and keeps the rest."""
    path = tmp_path / "big.yaml"
    path.write_text("extends: a100-sxm4-80gb\nname: big\nmemory: {capacity: 160 GiB}\n")
    chip = load_accelerator(path)
    assert chip.memory.capacity_bytes == 160 * 2**30
    assert chip.memory.bandwidth == 2039e9


def test_full_rate_product_draws_the_board_power() -> None:
    """Idle + e_flop·(peak·achievable·sustained) = peak power."""
    chip = load_accelerator("h100-sxm5-80gb")
    assert chip.power is not None
    entry = chip.compute["bf16"]
    arithmetic = chip.power.flop_j["bf16"] * entry.peak_flops * entry.achievable * chip.sustained
    assert chip.power.idle_w + arithmetic == pytest.approx(chip.power.peak_w)


@pytest.mark.parametrize(
    ("board", "flagship"),
    [
        ("a30", "a100-sxm4-80gb"),
        ("a100-pcie-80gb", "a100-sxm4-80gb"),
        ("a100-pcie-40gb", "a100-sxm4-80gb"),
        ("h100-pcie-80gb", "h100-sxm5-80gb"),
        ("v100s-pcie-32gb", "v100-sxm2-16gb"),
        ("v100-pcie-16gb", "v100-sxm2-16gb"),
        ("v100-sxm3-32gb", "v100-sxm2-16gb"),
        ("v100-sxm3-32gb-450w", "v100-sxm2-16gb"),
    ],
)
def test_a_board_of_less_power_sustains_a_lower_clock(board: str, flagship: str) -> None:
    """P ∝ units·V²·f with V following f: the clock of a board is ∝ (W per unit)^(1/3), its share that over the clock
    its peak is stated at. What a ceiling measured on the board lost already (A100 PCIe: 0.811 of 0.869) counts once."""
    chip, best = load_accelerator(board), load_accelerator(flagship)

    def per_unit(one: Accelerator) -> tuple[float, float]:
        assert one.power is not None
        assert one.matrix_unit is not None
        return one.power.peak_w / one.matrix_unit.units, one.compute["fp16"].peak_flops / one.matrix_unit.units

    (watts, peak), (best_watts, best_peak) = per_unit(chip), per_unit(best)
    measured = chip.compute["fp16"].achievable / best.compute["fp16"].achievable
    share = best.sustained * (watts / best_watts) ** (1 / 3) / (peak / best_peak) / measured
    assert chip.sustained == pytest.approx(min(1.0, share), abs=0.0015)


@pytest.mark.parametrize(
    ("text", "where", "rule"),
    [
        (MINIMAL.replace("1 GiB", '"-80 GiB"'), ":4:20", "must be positive"),
        (MINIMAL.replace("capacity: 1 GiB", "capactiy: 1 GiB"), ":4:10", 'did you mean "capacity"?'),
        (MINIMAL.replace("100 GB/s", "100"), ":4:38", "needs a unit"),
        (MINIMAL.replace("100 GB/s", "100 GB"), ":4:38", "bandwidth"),
        (MINIMAL.replace("fp32:", "fp33:"), ":3:21", 'did you mean "fp32"?'),
        (MINIMAL.replace("1 TFLOP/s", "nan TFLOP/s"), ":3:34", "finite"),
        (MINIMAL + "generation: amper\n", ":6:13", 'did you mean "ampere"?'),
    ],
)
def test_bad_files_say_where_and_what(tmp_path: Path, text: str, where: str, rule: str) -> None:
    """file:line:column, the rule, and a suggestion."""
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_accelerator(path)
    assert where in str(caught.value)
    assert rule in str(caught.value)


def test_unknown_names_are_suggested() -> None:
    """A near miss names the chip that was meant."""
    with pytest.raises(InputError, match="a100-sxm4-80gb"):
        load_accelerator("a100-sxm-80gb")


@pytest.mark.parametrize("name", list_accelerators())
def test_written_files_read_back_equal(name: str, tmp_path: Path) -> None:
    """dump → load is the identity on the catalogue."""
    path = tmp_path / f"{name}.yaml"
    path.write_text(dump_accelerator(accelerator_files()[name]))
    assert load_accelerator_file(path) == accelerator_files()[name]


def test_new_file_is_a_chip(tmp_path: Path) -> None:
    """The template of `hardware new` loads under the given name; a name with capitals is refused."""
    path = tmp_path / "my-chip.yaml"
    path.write_text(new_accelerator("my-chip"))
    assert load_accelerator(path).name == "my-chip"
    with pytest.raises(InputError):
        new_accelerator("My Chip")


@pytest.mark.parametrize("name", list_clusters())
def test_every_cluster_stands_on_known_parts(name: str) -> None:
    """Its accelerator is in the catalogue (or, projected, in its own file), its links in links.yaml, its devices the
    product of its levels."""
    cluster = load_cluster(name)
    assert cluster.accelerator in list_accelerators() or cluster.status == "hypothetical"
    assert cluster.devices == prod(level.size for level in cluster.levels)
    assert all(level.link.name in load_links() or level.link.bandwidth > 0 for level in cluster.levels)


def test_node_of_selene_has_eight_hdr_ports() -> None:
    """8 A100 on NVLink3 (300 GB/s per direction), 8 ports of 25 GB/s."""
    node, fabric = load_cluster("dgx-a100-superpod").levels
    assert (node.size, node.link.bandwidth) == (8, 300e9)
    assert (fabric.nics, fabric.link.bandwidth) == (8, 25e9)


def test_a_link_may_differ_from_its_type_in_one_field() -> None:
    """`like:` keeps latency and efficiency and changes the bandwidth: 21 of 24 ports of Gaudi 2 stay in the box."""
    link, full = load_cluster("hls-gaudi2").levels[0].link, load_links()["gaudi2-roce"]
    assert link.bandwidth == pytest.approx(full.bandwidth * 21 / 24)
    assert link.latency_s == full.latency_s


@pytest.mark.parametrize("devices", [1, 2, 8, 16, 1024])
def test_devices_scale_the_outermost_level(devices: int) -> None:
    """A node keeps its eight devices; below eight it is the node that shrinks."""
    cluster = resize(load_cluster("dgx-h100-superpod"), devices)
    assert cluster.devices == devices == prod(level.size for level in cluster.levels)
    assert cluster.levels[0].size == min(8, devices)


def test_a_number_no_nodes_add_up_to_is_refused_with_what_would_do() -> None:
    """13 devices are no equal part of any two nodes of eight."""
    with pytest.raises(InputError, match="multiple of 8") as caught:
        resize(load_cluster("dgx-h100-superpod"), 13)
    assert "8 or 16" in str(caught.value)


def test_racks_may_be_used_in_part() -> None:
    """128 GPUs of NVL72 are two racks of 64, 64 of 72 ports; 1,024 are 16 of these (15 do not divide them)."""
    rack, fabric = resize(load_cluster("gb200-nvl72"), 128).levels
    assert (rack.sizes, fabric.sizes, fabric.nics) == ((64,), (2,), 64)
    assert [level.size for level in resize(load_cluster("gb200-nvl72"), 1024).levels] == [64, 16]


def test_a_quad_of_dgx1_is_fully_connected() -> None:
    """Four V100 keep four of their six links among themselves: 100 of 150 GB/s per direction."""
    (quad,) = resize(load_cluster("dgx-1v"), 4).levels
    assert (quad.topology, quad.sizes) == ("fully_connected", (4,))
    assert quad.link.bandwidth == pytest.approx(100e9)


@given(exponent=st.integers(0, 13))
@settings(max_examples=14, deadline=None)
def test_a_resized_torus_keeps_its_dimensions(exponent: int) -> None:
    """Sizes multiply to the devices and differ by at most a factor of two for powers of two."""
    level = Level("slice", "torus", (16, 16, 16), LINK)
    resized = resize(Cluster("t", "tpu-v4", 4096, (level,)), 2**exponent).levels[0]
    assert prod(resized.sizes) == 2**exponent
    assert len(resized.sizes) == 3
    assert max(resized.sizes) <= 2 * min(resized.sizes)


def test_a_cluster_may_be_any_graph() -> None:
    """Edges go both ways unless directed; a device's number is where it stands."""
    text = """
    name: triangle
    accelerator: a100-sxm4-80gb
    graph:
      edges:
        - {ends: [0, 1], link: nvlink3}
        - {ends: [1, switch], bandwidth: 10 GB/s, latency: 1 us}
        - {ends: [switch, 2], bandwidth: 10 GB/s, latency: 1 us, directed: true}
        - {ends: [2, 0], bandwidth: 10 GB/s, latency: 1 us, directed: true}
    """
    cluster = read_cluster(parse(text))
    assert cluster.devices == 3
    assert len(cluster.edges) == 6
    assert Edge("switch", 1, 10e9, 1e-6) in cluster.edges


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("{name: node, topology: swich, size: 8, link: nvlink3}", 'did you mean "switch"?'),
        ("{name: node, topology: switch, size: 8, link: nvlink33}", 'did you mean "nvlink3"?'),
        ("{name: node, topology: switch, size: 0, link: nvlink3}", "must be positive"),
        ("{name: node, topology: switch, link: nvlink3}", "either size or sizes"),
        ("{name: node, topology: switch, size: 8, link: {like: nvlink3, bandwidth: 200}}", "needs a unit"),
        (
            "{name: node, topology: switch, size: 8, link: {like: nvlink3, bandwith: 2 GB/s}}",
            'did you mean "bandwidth"?',
        ),
    ],
)
def test_bad_levels_say_where_and_what(line: str, rule: str) -> None:
    """Every problem stands at the line of its level."""
    text = f"name: c\naccelerator: a100-sxm4-80gb\nlevels:\n  - {line}\n"
    with pytest.raises(InputError) as caught:
        read_cluster(parse(text, "c.yaml"))
    assert "c.yaml:4:" in str(caught.value)
    assert rule in str(caught.value)


def test_a_cluster_needs_levels_or_a_graph() -> None:
    """Neither, or both, is an error."""
    with pytest.raises(InputError, match="either levels or a graph"):
        read_cluster(parse("name: c\naccelerator: a100-sxm4-80gb\n"))


def test_devices_of_a_file_resize_it() -> None:
    """`devices: 512` in a cluster file keeps the node and scales the fabric."""
    text = """
    name: c
    accelerator: a100-sxm4-80gb
    devices: 512
    levels:
      - {name: node, topology: switch, size: 8, link: nvlink3}
      - {name: fabric, topology: rail, size: 2, link: infiniband-hdr, nics: 8}
    """
    cluster = read_cluster(parse(text))
    assert (cluster.devices, cluster.levels[1].sizes) == (512, (64,))
