"""The page of a run and of a study: parsed, its figures checked against the result, nothing fetched, text as text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from sim.files import load_document
from sim.report.figures import kit
from sim.report.figures.kit import Figure
from sim.report.page import comparison_page, run_page, study_page
from sim.report.run import to_json
from sim.study.compare import compare, device_seconds
from sim.study.dossier import Dossier, dossier
from sim.study.sweep import read_study, sweep

HOSTILE = "<script>alert(1)</script><b>&"
SCENARIO = f"""
name: "{HOSTILE}"
workload: {{family: llama2-7b}}
target: {{units: 1e11}}
cluster: {{extends: dgx-h100-superpod, devices: 64}}
plan: {{tensor: 2, pipeline: 2, sub_batch: 1, global_batch: 64, sharding: optimizer}}
campaign: {{failures: [{{component: node, mtbf: 30 days}}], checkpoints: {{}}, seeds: 3}}
"""
VOID = ("meta", "br", "link", "img", "hr", "input")


class Page(HTMLParser):
    """What a page holds: text, ids, links, figures; an element that is not closed is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str, name: str) -> list[str]:
        """Values of an attribute."""
        return [str(attrs[name]) for found, attrs in self.found if found == tag and name in attrs]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Dossier:
    file = tmp_path_factory.mktemp("page") / "run.yaml"
    file.write_text(SCENARIO, encoding="utf-8")
    return dossier(load_document(file))


@pytest.fixture(scope="module")
def html(found: Dossier) -> str:
    return run_page(found)


def figures(html: str) -> dict[str, Any]:
    """What Plotly is given, by the name of the figure."""
    keys = re.findall(r'<figure id="([a-z0-9-]+)">', html)
    specs = re.findall(r'<script type="application/json">(.*?)</script>', html)
    return dict(zip(keys, map(json.loads, specs), strict=True))


def test_every_figure_is_one_that_plotly_knows(html: str) -> None:
    """Plotly's own validator takes every trace and every axis."""
    drawn = figures(html)
    assert list(drawn) == [
        *("budget", "campaign", "progress", "timeline", "memory", "roofline", "scaling", "batch", "tornado", "topology")
    ]
    for spec in drawn.values():
        bare = json.loads(re.sub(r'"@\w+"', '"#000000"', json.dumps(spec)))
        go.Figure(data=bare["data"], layout=bare["layout"])


def test_figures_show_the_result(html: str, found: Dossier) -> None:
    """The budget is the whole step, the waterfall ends at the wall time, memory adds up, the curve holds the run."""
    drawn, result = figures(html), found.result
    (budget,) = drawn["budget"]["data"]
    assert sum(budget["x"]) == pytest.approx(100.0, abs=0.3)  # parts under half a thousandth are left out
    (waterfall,) = drawn["campaign"]["data"]
    assert result.campaign is not None
    assert sum(waterfall["y"]) == pytest.approx(result.campaign.wall_s / 86400.0, rel=1e-4)
    stages = [trace for trace in drawn["memory"]["data"] if trace["type"] == "bar"]
    totals = [sum(trace["x"][i] for trace in stages) for i in range(len(result.memory))]
    assert totals[::-1] == pytest.approx([d.total_bytes / 2**30 for d in result.memory], rel=1e-5)
    curve = {trace["name"]: trace for trace in drawn["scaling"]["data"]}
    assert result.time_to_target is not None
    assert (curve["this run"]["x"], curve["this run"]["y"]) == (
        [result.devices],
        [pytest.approx(result.time_to_target.seconds / 86400.0, rel=1e-3)],
    )
    assert all(a >= b * (1 - 1e-6) for a, b in zip(curve["simulated"]["y"], curve["ideal"]["y"], strict=False))


def test_a_timeline_keeps_what_a_stream_does(html: str, found: Dossier) -> None:
    """Merged pieces cover the step as the slices did: same first start and last end on every stream."""
    ends: dict[str, list[float]] = {}
    for trace in figures(html)["timeline"]["data"]:
        for track, start, length in zip(trace["y"], trace["base"], trace["x"], strict=True):
            ends.setdefault(track, []).extend((start, start + length))
    scale = 1.0 if found.result.step.time_s >= 1.0 else 1e3
    for track, edges in ends.items():
        slices = [s for s in found.result.step.slices if s.track == track]
        assert min(edges) == pytest.approx(scale * min(s.start_s for s in slices), rel=1e-5, abs=1e-9)
        assert max(edges) == pytest.approx(scale * max(s.end_s for s in slices), rel=1e-5)


def test_nothing_is_fetched_and_the_page_is_small(html: str) -> None:
    """No address in the page outside Plotly's own script; at most 6 MB."""
    ours = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r"\b(src|href)=\"(?!#)", ours)
    assert "@import" not in ours
    assert len(html.encode()) < 6e6


def test_text_of_a_file_stays_text(html: str) -> None:
    """Neither HTML nor Plotly sees markup in a name."""
    assert html.count("<script>") == 2  # Plotly and the page's own
    page = Page(html)
    assert page.texts["title"] == [f"{HOSTILE}: foretrain"]
    assert page.texts["h1"] == [HOSTILE]
    hostile = Figure("k", HOSTILE, HOSTILE, ({"type": "bar", "name": HOSTILE, "x": [1.0], "y": ["a\nb"]},))
    (trace,) = figures(kit.shown(hostile))["k"]["data"]
    assert trace["name"] == "&lt;script&gt;alert(1)&lt;/script&gt;&lt;b&gt;&amp;"
    assert trace["y"] == ["a<br>b"]


def test_a_screen_reader_and_a_phone_are_thought_of(html: str) -> None:
    """Language, width of the screen, a sentence and a table for each picture, links that lead somewhere, one h1."""
    page = Page(html)
    assert page.all("html", "lang") == ["en"]
    assert page.all("meta", "content") == ["width=device-width, initial-scale=1"]
    plots = [attrs for tag, attrs in page.found if tag == "div" and attrs.get("class") == "plot"]
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in plots)
    assert len(page.texts["summary"]) == len(plots) + 3  # numbers of each, report as text, input, its defaults
    assert (
        sum("screen" in str(attrs.get("class")) for tag, attrs in page.found if tag == "details") == 1
    )  # not on paper
    ids = page.all("figure", "id")
    assert page.all("a", "href") == [f"#{key}" for key in ids]
    assert len(set(ids)) == len(ids)
    assert len(page.texts["h1"]) == 1
    assert set(page.all("th", "scope")) == {"col"}


def test_the_input_is_there_with_the_origin_of_every_leaf(html: str, found: Dossier) -> None:
    """A row per leaf: path, value, file and line."""
    cells = Page(html).texts["td"]
    for leaf in found.leaves:
        assert leaf.path in cells
        assert str(leaf.mark) in cells


def test_the_answer_is_that_of_run(html: str, found: Dossier) -> None:
    """The first sentence has the time of `run --json`."""
    seconds = to_json(found.result)["time_to_target"]["seconds"]
    lead = next(text for text in Page(html).texts["p"] if "to the target" in text)
    assert float(lead.split()[0]) == pytest.approx(seconds / 86400.0, rel=5e-3)
    assert lead.split()[1] == "days"


def test_the_same_run_gives_the_same_bytes(html: str, found: Dossier) -> None:
    assert run_page(found) == html


def test_designs_are_compared_on_one_page() -> None:
    """Times to the target as of `compare`; the parts of a sample add up to what a device spends on it."""
    answer = compare("paper/word-lm", "paper/frontier-image", "paper/nothing")
    html = comparison_page(answer)
    drawn = figures(html)
    results = [case.result for case in answer.cases if case.result is not None]
    assert len(results) == 2
    (target,) = drawn["target"]["data"]
    goals = [result.time_to_target for result in results]
    assert target["x"][::-1] == pytest.approx([goal.seconds / 86400.0 for goal in goals if goal], rel=1e-6)
    totals = [sum(trace["x"][i] for trace in drawn["parts"]["data"]) for i in range(2)]
    assert totals[::-1] == pytest.approx([1e3 * device_seconds(result) for result in results], rel=1e-5)
    page = Page(html)
    assert {"ok", "bad input"} - set(page.texts["td"]) == {"ok"}  # the third is a row with its reason
    assert any("no such scenario" in text for text in page.texts["li"])


def test_shares_of_the_difference_are_drawn() -> None:
    """The bars of the parts add up to the difference of the two times."""
    answer = compare("paper/word-lm", "paper/frontier-image", attribute=True)
    drawn = figures(comparison_page(answer))
    (shares,), (target,) = drawn["causes-0"]["data"], drawn["target"]["data"]
    assert len(shares["x"]) == len(answer.attributions[0].parts) > 1
    second, first = target["x"]
    assert sum(shares["x"]) == pytest.approx(second - first, rel=1e-5)


def test_a_study_file_becomes_a_page(tmp_path: Path) -> None:
    """Every design is a row; the front is what no design beats; a sample is told from its file alone."""
    file, sets = tmp_path / "study.db", ("cluster.devices=8",)
    axes = {"plan.sub_batch": [16, 32, 64, -1], "accelerator.memory.bandwidth": ["1 TB/s", "2 TB/s"]}
    swept = sweep("paper/word-lm", axes, sets=sets, file=file)
    assert read_study(file) == swept
    html = study_page(read_study(file), "study")
    drawn = figures(html)
    assert list(drawn) == ["sweep", "pareto"]
    cloud, front = drawn["pareto"]["data"]
    assert len(cloud["x"]) + len(front["x"]) == 6
    beaten = [(x, y) for x, y in zip(cloud["x"], cloud["y"], strict=True)]
    for point in zip(front["x"], front["y"], strict=True):
        assert not any(x <= point[0] and y <= point[1] for x, y in beaten if (x, y) != point)
    assert Page(html).texts["td"].count("-1") == 2


def test_a_sampled_study_is_read_back(tmp_path: Path) -> None:
    """Designs of a Latin hypercube follow from the ends of its axes and the seed."""
    axes = {"accelerator.memory.bandwidth": {"from": "1 TB/s", "to": "8 TB/s", "scale": "log"}}
    options: dict[str, Any] = {"combine": "latin_hypercube", "samples": 3, "seed": 5, "sets": ("cluster.devices=8",)}
    swept = sweep("paper/word-lm", axes, file=tmp_path / "s.db", **options)
    again = read_study(tmp_path / "s.db")
    assert [again.designs[i] for i in range(3)] == [swept.designs[i] for i in range(3)]
