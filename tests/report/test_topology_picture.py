"""The picture of a cluster: racks as large as they are, framed and named, and a sentence with the whole structure."""

from __future__ import annotations

import pytest

from sim.files.hardware import list_clusters, load_cluster
from sim.network.resize import resize
from sim.report.figures.topology import MOST_DEVICES, shrink, topology


@pytest.mark.parametrize(("name", "devices", "shown", "racks"), [("gb200-nvl72", 576, 144, 2), ("dgx-h100", 8, 8, 0)])
def test_racks_are_drawn_as_large_as_they_are(name: str, devices: int, shown: int, racks: int) -> None:
    """72 devices of an NVL72 stand in one frame (NVIDIA: 72 GPUs in one NVLink domain); a single node needs none."""
    found = topology(resize(load_cluster(name), devices))
    drawn = next(trace for trace in found.traces if trace.get("name") == "device")
    frames, names = found.layout["shapes"], [note["text"] for note in found.layout["annotations"]]
    assert (len(drawn["x"]), len(frames)) == (shown, racks)
    assert names == [f"rack {number}" for number in range(racks)]
    points = list(zip(drawn["x"], drawn["y"], strict=True))
    for frame in frames:
        inside = [p for p in points if frame["x0"] < p[0] < frame["x1"] and frame["y0"] < p[1] < frame["y1"]]
        assert len(inside) == 72
    assert not racks or "576 devices: 72 devices a rack, 8 racks a fabric" in found.text


@pytest.mark.parametrize("name", list_clusters())
def test_what_is_drawn_can_be_seen(name: str) -> None:
    """At most 192 devices; nodes that fit are drawn whole."""
    cluster = load_cluster(name)
    drawn = shrink(cluster)
    assert drawn.devices <= 2 * MOST_DEVICES
    if cluster.levels and cluster.levels[0].size <= 8 and len(cluster.levels) == 2:
        assert drawn.levels[0].size == cluster.levels[0].size
