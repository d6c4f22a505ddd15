"""Clusters whose numbers do not fit together: told with file and line, everything at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.errors import InputError
from sim.files.clusters import load_cluster

HEAD = "name: mine\naccelerator: h100-sxm5-80gb\n"
NODE = "levels:\n  - {name: node, topology: switch, size: 8, link: nvlink4}\n"
EDGES = "graph:\n  edges:\n    - {ends: [0, 1], bandwidth: 10 GB/s, latency: 1 us}\n"

WRONG = [
    ("levels:\n  - {name: x, topology: ring, sizes: [4, 4], link: nvlink4}\n", ":4:38: levels.0.sizes: a ring has one"),
    (NODE + "devices: 8\nrank_order: [0, 1, 2, 3, 4, 5, 6, 6]\n", ":6:13: rank_order: must hold every device"),
    (NODE + "dead_links: [[0, node/swich0]]\n", ":5:14: dead_links.0: no link between these nodes"),
    (NODE + "dead_links: [[1, node/switch0]]\n", ":5:13: dead_links: the graph is cut: ranks 1"),
    (NODE + "degraded_links: [[0, node/switch0, 1.5]]\n", ":5:36: degraded_links.0.2: must be at most 1, got 1.5"),
    (
        "levels:\n  - {name: x, topology: fat_tree, size: 8, link: nvlink4, options: {leafs: 4}}\n",
        ": levels.0.options.leafs: no such option; fat_tree knows leaf, tiers, pod, hop_latency_s, got 4 "
        "(did you mean leaf?)",
    ),
    (
        "levels:\n  - {name: x, topology: fat_tree, size: 8, link: nvlink4, options: {leaf: 4, pod: 8}}\n",
        "levels.0.options.pod: pods are those of 3 tiers, got 8 (add tiers: 3)",
    ),
    (
        "levels:\n  - {name: x, topology: torus, sizes: [4, 4], link: tpu-ici-v4}\ndevices: 30\n",
        ":5:10: devices: the sizes 4 x 4 multiply to 16, got 30",
    ),
    (
        "devices: 3\n" + EDGES + "    - {ends: [1, 5], bandwidth: 10 GB/s, latency: 1 us}\n",
        ":7:7: graph.edges.1: no such device; the cluster has devices 0 … 2, got 5",
    ),
    (EDGES + "    - {ends: [1, 2], bandwidth: 0 GB/s, latency: 1 us}\n", "must be positive"),
    (EDGES + "    - {ends: [2, 3], bandwidth: 1 GB/s, latency: 1 us}\n", "ranks 2–3 cannot be reached from ranks 0–1"),
]


@pytest.mark.parametrize(("text", "says"), WRONG)
def test_what_does_not_fit_is_told_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    """The rule, what was got, and where."""
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(InputError) as wrong:
        load_cluster(path)
    assert any(says in str(problem) for problem in wrong.value.problems), wrong.value
    assert all(problem.line for problem in wrong.value.problems)


def test_dead_links_may_name_devices_by_number(tmp_path: Path) -> None:
    """A ring with one dead link is a line: still whole."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        HEAD + "levels:\n  - {name: x, topology: ring, size: 8, link: nvlink4}\ndead_links: [[0, 1]]\n",
        encoding="utf-8",
    )
    assert load_cluster(path).dead_links == (("0", "1"),)
