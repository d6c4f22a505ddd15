"""Published collectives: rows become clusters, link types are calibrated by family, held-out systems are predicted."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from sim.files.clusters import load_links
from sim.network import Cluster, Communicator, Group, Level
from sim.validation.collectives import (
    FAMILIES,
    Prices,
    Sample,
    _constants,
    _start,
    calibrate,
    family,
    leave_one_system_out,
    sample,
    simulate_row,
)
from sim.validation.published import load_validation_set
from sim.validation.validation import ValidationSet, requests

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def published() -> ValidationSet:
    return load_validation_set(ROOT / "scenarios" / "published" / "collectives.yaml")


@pytest.fixture(scope="module")
def samples(published: ValidationSet) -> list[Sample]:
    found = [sample(request, published.template) for request in requests(published)]
    assert [f for f in found if isinstance(f, str)] == []
    return [f for f in found if isinstance(f, Sample)]


def test_every_published_row_can_be_expressed(samples: list[Sample]) -> None:
    """No row is lost: 80 rows of the collection and 37 of the two B200 systems."""
    assert len(samples) == 117
    assert all(s.seconds > 0 and s.cluster.devices >= 2 for s in samples)


def test_held_out_systems_meet_the_target(samples: list[Sample]) -> None:
    """Each system predicted by constants fitted on the others: median over systems at most 12 % and 90th percentile
    at most 30 % from 256 MiB on, 7 and 20 % from 1 MiB on (the log its own source warns of apart); better than two
    constants."""
    found = leave_one_system_out([s for s in samples if not s.system.startswith("2x DGX H100 (-g 8")], samples)
    large, p90 = found.over_systems("large")
    above, tail = found.over_systems("above_mib")
    assert large <= 0.12
    assert p90 <= 0.30
    assert above <= 0.07
    assert tail <= 0.20
    assert large < found.over_systems("null_large")[0]
    assert above < found.over_systems("null_above_mib")[0]


def test_the_library_of_links_is_what_calibration_gives(samples: list[Sample]) -> None:
    """hardware/links.yaml can be reproduced from code: every calibrated type, to its three digits."""
    constants = calibrate(samples)
    for name, link in load_links().items():
        if family(name) is None:
            continue
        fitted = constants.apply(link)
        assert link.efficiency == pytest.approx(fitted.efficiency, rel=0.01), name
        assert link.base_s == pytest.approx(fitted.base_s, rel=0.01), name
        assert link.latency_s == pytest.approx(fitted.latency_s, rel=0.01), name
        assert link.reduction_efficiency == pytest.approx(fitted.reduction_efficiency, rel=0.01), name
        assert link.fast_latency == pytest.approx(fitted.fast_latency, rel=0.01), name
        assert link.fast_bandwidth == pytest.approx(fitted.fast_bandwidth, rel=0.01), name


def test_a_step_over_a_network_takes_what_nccl_counts() -> None:
    """NCCL 2.18 to 2.30, tuning.cc: 14 us a step of a ring over the network, Simple protocol; it sets no constant but
    the start of the fit."""
    for name in ("infiniband-ndr", "roce-400g"):
        link = load_links()[name]
        cluster = Cluster("two", "", 2, (Level("fabric", "fat_tree", (2,), link),))
        step = Communicator(cluster).cost("all_gather", Group(2), "ring").fixed_s - link.base_s
        assert step == pytest.approx(14e-6, rel=0.2), name


def test_switches_reduce_at_the_ratio_of_nccls_generations() -> None:
    """Hopper's 16 channels of 0.85 of 20.6 GB/s a link against Blackwell's 32 of 0.74 of 40.1 (NCCL 2.30.3)."""
    hopper, blackwell = (load_links()[name].reduction_efficiency for name in ("nvlink4", "nvlink5"))
    ours = 20.6 / 25 * 0.85 * 15 / 16 / (40.1 / 50 * 0.74 * 31 / 32)
    assert hopper / blackwell == pytest.approx(ours, rel=0.005)


def test_a_family_without_rows_keeps_its_prior(samples: list[Sample]) -> None:
    """A link type seen in no other system is predicted from its family's law."""
    without = calibrate([s for s in samples if all(family(v.link.name) != "xgmi" for v in s.cluster.levels)])
    assert without.families["xgmi"][0] == pytest.approx(0.80, rel=1e-3)


def test_the_fast_evaluation_is_the_communicator(samples: list[Sample]) -> None:
    """Arrays of the fit and the Communicator on clusters with the same constants give the same seconds."""
    constants = _constants(_start())
    chosen = [s for s in samples if s.kind == "all_reduce"][::9]
    fast = Prices(chosen).seconds(_start())
    for row, seconds in zip(chosen, fast, strict=True):
        levels = tuple(
            type(level)(
                level.name, level.topology, level.sizes, constants.apply(level.link), level.nics,
                level.oversubscription, level.options,
            )
            for level in row.cluster.levels
        )  # fmt: skip
        cluster = type(row.cluster)("c", "", row.cluster.devices, levels)
        exact = Communicator(cluster).time("all_reduce", row.nbytes, Group(cluster.devices))
        assert seconds == pytest.approx(exact, rel=1e-6), row.system


def test_other_rows_and_unknown_ones(published: ValidationSet) -> None:
    """Rows of systems never seen are predicted; a collective nobody knows is refused with its name."""
    base = dict.fromkeys(published.rows[0], "")
    base |= {"accelerator": "A100-SXM4-80GB", "size_bytes": "1073741824", "time_us": "9000", "collective": "all_reduce"}
    rows = [
        base | {"system": "4x p4d.24xlarge", "nodes": "4", "n_gpus": "32"},
        base | {"system": "mystery", "nodes": "1", "n_gpus": "8", "collective": "gossip"},
        base | {"system": "box", "accelerator": "Foo", "nodes": "1", "n_gpus": "8"},
    ]
    known, unknown, chip = (simulate_row(r, published.template) for r in requests(published, rows))
    assert not isinstance(known, str)
    assert math.isclose(known.fields["busbw_bytes_per_s"], 0.9 * 50e9, rel_tol=0.15)  # four cards of 12.5 GB/s
    assert unknown == "collective 'gossip' is not known"
    assert chip == "accelerator 'Foo' is not known"


def test_every_calibrated_family_has_a_link_and_physical_constants() -> None:
    """Efficiencies in (0, 1], in-network reduction within the raw rate, launch costs positive."""
    links = load_links()
    for heads in FAMILIES.values():
        assert any(name.startswith(heads) for name in links)
    shares = np.array([(v.efficiency, v.reduction_efficiency, v.fast_bandwidth) for v in links.values()])
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert all(v.source for v in links.values())
