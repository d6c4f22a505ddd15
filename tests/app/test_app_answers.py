"""What the server answers: at once as SimPy does, as the sliders turn, fast, and without what another page asked."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from time import process_time

import pytest

from sim.app import answers
from sim.app.callbacks import FIELDS, Callbacks, link
from sim.app.controls import FACTORS, MIDDLE, place_of
from sim.app.design import ask, turned
from sim.app.server import create
from sim.app.state import Design, unpack
from sim.files import load_scenario
from sim.network import communicator_of
from sim.search.screen import Screen
from sim.simulation import model_of, project_target, simulate
from sim.simulation.properties import PROPERTIES

HOSTILE = "<script>alert(1)</script>"


def asked_of(scenario="today/llama2-70b", text=None, others="", factors=(), **fields):
    """The inputs of the answer's callback as a page sends them."""
    places = dict.fromkeys(PROPERTIES, MIDDLE) | {name: place_of(factor) for name, factor in dict(factors).items()}
    return {
        "scenario": scenario,
        "text": text,
        "others": others,
        "fields": dict.fromkeys(FIELDS) | fields,
        "scale": places,
    }


def tags(html: str) -> list[str]:
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append(tag)  # type: ignore[method-assign]
    parser.feed(html)
    return found


@pytest.mark.parametrize("name", ["today/llama2-70b", "today/bert", "paper/word-lm"])
def test_at_once_is_what_simpy_says(name):
    """The recursion equals SimPy, and unturned hardware has the plan that a run has."""
    asked = ask(Design(name))
    quick, run = answers.at_once(asked), simulate(load_scenario(name), levers=False)
    assert quick.plan == run.plan
    assert quick.step.time_s == pytest.approx(run.step.time_s, rel=1e-9)
    assert answers.confirmed(asked).result.step.time_s == pytest.approx(run.step.time_s, rel=1e-9)


def test_a_searched_plan_is_kept_while_sliders_move_and_chosen_anew_by_simpy():
    """With a hundredth of the link bandwidth another layout wins; at once keeps the one of the files."""
    design = Design("today/llama2-70b", "", ("plan={search: true, global_batch: 1024}", "cluster.devices=256"))
    design = replace(design, sets=(*design.sets, "plan.data=null", "plan.tensor=null", "plan.sharding=null"))
    slow = replace(design, scale={"link_bandwidth": 0.05})
    kept, anew = answers.at_once(ask(slow)), answers.confirmed(ask(slow)).result
    assert kept.plan == answers.at_once(ask(design)).plan
    assert anew.step.time_s < kept.step.time_s


def test_the_elasticity_beside_a_slider_is_the_slope_of_what_it_does():
    """d ln time / d ln property by its two neighbours, from answers of their own."""
    design = Design("today/llama2-70b", scale={"peak": 1.5})
    found = {e.prop.name: e.elasticity for e in answers.worth(ask(design), "step_s").elasticities}
    for name in ("peak", "link_bandwidth"):
        high, low = (answers.at_once(ask(turned(design, name, f))).step.time_s for f in (1.1, 1 / 1.1))
        assert found[name] == pytest.approx(math.log(high / low) / (2 * math.log(1.1)), rel=1e-9)
    assert found["peak"] < -0.1


def test_a_slider_changes_the_answer(tmp_path):
    """Twice the peak: less time, its value beside it, the design in the answer's own words."""
    calls = Callbacks(tmp_path)
    before, after = calls.answer("a", **asked_of()), calls.answer("a", **asked_of(factors={"peak": 2.0}))
    assert before["values"]["peak"] == "312 TFLOP/s"
    assert after["values"]["peak"] == "624 TFLOP/s (2x)"
    assert before["answer"]["html"] != after["answer"]["html"]
    assert after["design"]["scale"] == {"peak": 2.0}
    assert unpack(link(after["design"], None)).a == Design(**{**after["design"], "sets": ()})


def test_a_factor_between_two_positions_stays_until_its_slider_moves(tmp_path):
    """A link may carry any factor; nothing of it is rounded in silence."""
    text = {"name": None, "text": None, "scale": {"peak": 1.37}}
    calls = Callbacks(tmp_path)
    still = asked_of(text=text, factors={"peak": 1.37})
    assert calls.answer("a", **still)["design"]["scale"] == {"peak": 1.37}
    assert calls.answer("a", **asked_of(text=text, factors={"peak": 2.0}))["design"]["scale"] == {"peak": 2.0}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"others": "plan.tensor=7"}, "tensor"),
        ({"tensor": "3"}, "devices"),
        ({"devices": "many"}, "cluster.devices"),
        ({"scenario": "../outside"}, "outside"),
        ({"scenario": None, "text": {"name": "x.yaml", "text": "a: ["}}, "is not YAML"),
        ({"accelerator": "a10"}, "Does not fit"),
        ({"others": f"description={HOSTILE}\n{HOSTILE}=1"}, "unknown"),
    ],
)
def test_what_cannot_be_answered_is_said_in_the_page(fields, said, tmp_path):
    """As a sentence with its place or its levers; whatever stands in it stays text."""
    shown = Callbacks(tmp_path).answer("a", **asked_of(**fields))["answer"]
    assert said in shown["html"]
    assert 'role="alert"' in shown["html"]
    assert "script" not in tags(shown["html"])


def test_a_hostile_name_stays_text(tmp_path):
    """In every part of an answer; scripts of pictures hold data only."""
    calls = Callbacks(tmp_path)
    first = asked_of(others=f"name={HOSTILE}\ncluster.name={HOSTILE}")
    answered = calls.answer("a", **first)
    confirmed = calls.confirmed("a", answered["design"])
    for html in (answered["answer"]["html"], answered["answer"]["figures"], confirmed["html"], confirmed["figures"]):
        assert HOSTILE not in html
    assert 'name: "<script>' in answered["yaml"] or "<script>" in answered["yaml"]  # React writes it as text


def test_two_pages_do_not_mix(tmp_path):
    """Answers depend on what is asked only: in any order, interleaved, they are the same."""
    calls = Callbacks(tmp_path)
    one, two = asked_of(factors={"peak": 2.0}), asked_of(factors={"memory_capacity": 2.0}, devices="1024", data="128")
    alone = [Callbacks(tmp_path).answer("a", **page) for page in (one, two)]
    mixed = [calls.answer("a", **page) for page in (two, one, two, one)]
    assert mixed == [alone[1], alone[0], alone[1], alone[0]]


def test_two_designs_beside_each_other(tmp_path):
    """The second, with twice the peak, is first; one that has no answer keeps its reason."""
    fast, big = asdict(Design("today/llama2-70b", scale={"peak": 2.0})), asdict(Design("today/llama2-70b"))
    calls = Callbacks(tmp_path)
    assert "First is design B" in calls.beside(big, fast)["html"]
    tiny = asdict(Design("today/llama2-70b", scale={"memory_capacity": 0.1}))
    assert "design B: " in calls.beside(big, tiny)["html"]
    assert calls.beside(big, None) == {"html": "", "figures": ""}


def test_the_server_writes_nothing_and_answers_to_this_machine_only(tmp_path):
    """A page with its policy; another host's name is turned away by `listening` (see the browser's test)."""
    (tmp_path / "mine.yaml").write_text("extends: today/bert\n")
    client = create(tmp_path, "mine.yaml").server.test_client()
    page, layout = client.get("/"), client.get("/_dash-layout")
    assert page.status_code == layout.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "mine.yaml" in layout.text
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page.text)
    for path in ("/assets/../server.py", "/assets/..%2Fserver.py", "/assets//etc/hostname", "/mine.yaml"):
        assert "def " not in client.get(path).text
    assert [path.name for path in Path(tmp_path).iterdir()] == ["mine.yaml"]


@pytest.mark.speed
@pytest.mark.parametrize("name", ["today/llama2-70b", "today/gpt3-175b", "paper/word-lm"])
def test_a_slider_is_answered_within_twenty_times_the_screens_own_time(name, tmp_path):
    """Everything the server does for a slider, against memory and step of one plan by the screen."""
    calls = Callbacks(tmp_path)
    plain, plan = load_scenario(name), answers.at_once(ask(Design(name))).plan

    def screened(factor: float) -> None:
        scenario = PROPERTIES["memory_bandwidth"].scaled(plain, factor)
        model = model_of(scenario, project_target(scenario))
        communicator = communicator_of(scenario.cluster)
        screen = Screen(model, scenario.workload.numerics, scenario.accelerator, communicator)
        screen.memory(plan)
        screen.time(plan)

    def least(job) -> float:
        times = []
        for factor in FACTORS[8:]:
            start = process_time()
            job(factor)
            times.append(process_time() - start)
        return min(times)

    answered = least(lambda factor: calls.answer("a", **asked_of(name, factors={"memory_bandwidth": factor})))
    screen = least(screened)
    assert answered <= 20.0 * screen


def test_a_design_beside_the_same_on_other_accelerators(tmp_path):
    """As a run with that accelerator answers; what is turned belongs to the design's own chip, links to all."""
    design = Design("today/llama2-70b", "", ("accelerator.price.purchase=1 USD",), {"peak": 2.0}, ("h100-sxm5-80gb",))
    found = answers.on_chips(design)
    own, other = (case.result for case in found.cases)
    sets = ["accelerator=h100-sxm5-80gb", "accelerator.price.purchase=1 USD"]
    run = simulate(load_scenario("today/llama2-70b", sets), levers=False)
    assert other.step.time_s == pytest.approx(run.step.time_s, rel=1e-9)
    assert own.step.time_s == answers.at_once(ask(replace(design, also=()))).step.time_s
    calls = Callbacks(tmp_path)
    shown = calls.answer("a", **asked_of(), also=["h100-sxm5-80gb"])
    assert shown["design"]["also"] == ("h100-sxm5-80gb",)
    assert "h100-sxm5-80gb" in calls.chips("a", shown["design"])["html"]
    assert calls.chips("a", shown["design"] | {"also": []})["html"] == ""
    assert unpack(link(shown["design"], None)).a.also == ("h100-sxm5-80gb",)
