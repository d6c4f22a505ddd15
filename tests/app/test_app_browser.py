"""The app in a real browser: sliders, two pages, the link, the file dropped, the keyboard, what a reader is told."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest

from sim.app.server import create, listening
from sim.app.state import Design, State, pack, unpack
from sim.files import build, load_scenario
from sim.files.scenario import text_document

pytestmark = pytest.mark.browser
NARROW = 390  # px
PATIENCE_S = 150.0


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """The app on a free port, reading an empty folder."""
    with listening(create(tmp_path_factory.mktemp("folder"), "today/llama2-70b"), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def opened(browser, address):
    """Opens pages of the app, and closes them after the test."""
    first = browser.current_window_handle
    yield lambda url=address: Page(browser, url)
    for handle in browser.window_handles:
        if handle != first:
            browser.switch_to.window(handle)
            browser.close()
    browser.switch_to.window(first)


class Page:
    """One open page of the app."""

    def __init__(self, browser, url: str) -> None:
        self.browser = browser
        browser.switch_to.new_window("tab")
        browser.get(url)
        self.handle = browser.current_window_handle

    def __call__(self, id: str):
        self.browser.switch_to.window(self.handle)
        return self.browser.find_element("id", id)

    def text(self, id: str) -> str:
        return str(self.browser.execute_script("return arguments[0].textContent", self(id)))

    def until(self, condition) -> None:
        """Wait for what the page is to show."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                if condition():
                    return
            except Exception:  # the page is still being built
                pass
            time.sleep(0.1)
        pytest.fail(f"not shown in time; the page says {self.browser.execute_script('return document.body.innerText')}")

    def confirmed(self, design: str = "a") -> None:
        """SimPy has run what the page shows, and its pictures stand."""
        self.until(lambda: "Confirmed" in self.text(f"{design}-status") and not self.stale(design))

    def stale(self, design: str) -> bool:
        return "stale" in str(self(f"{design}-confirmed-view").get_attribute("class"))

    def slide(self, id: str, keys: str) -> None:
        self(id).send_keys(keys)

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]


NAMELESS = """
const told = e => e.labels?.length || e.textContent || e.getAttribute('aria-label');
const asked = e => e.offsetParent && e.type !== 'file' && !e.closest('[aria-hidden=true]');
return [...document.querySelectorAll('input, textarea, button')].filter(e => asked(e) && !told(e)).map(e => e.outerHTML)
"""
KEY = {"right": "\ue014", "left": "\ue012", "home": "\ue011"}


def test_a_slider_changes_the_answer_by_keyboard_and_simpy_confirms_it(opened, browser):
    """Arrow keys turn it; the answer follows at once, then SimPy's; no error in the console."""
    page = opened()
    page.confirmed()
    before = page.text("a-answer-view")
    page.slide("a-peak", KEY["right"] * 6)
    page.until(lambda: "(2.5x)" in page.text("a-peak-value") and page.text("a-answer-view") != before)
    page.confirmed()
    assert page.text("a-peak-worth").startswith("-")
    drawn = browser.execute_script("return document.querySelectorAll('figure .plot .main-svg').length")
    assert drawn >= 6
    assert page.errors() == []


def test_the_yaml_shown_is_the_scenario_answered_and_may_be_dropped_again(opened, browser, tmp_path):
    """Out of one page, into another: the same answer."""
    page = opened()
    page.confirmed()
    page.slide("a-link_bandwidth", KEY["right"] * 3)
    page.until(lambda: "(1.5x)" in page.text("a-link_bandwidth-value"))
    page.confirmed()
    text, answer = page.text("a-yaml"), page.text("a-answer-view")
    assert build(text_document(text, "copied.yaml")).cluster != load_scenario("today/llama2-70b").cluster
    file = tmp_path / "copied.yaml"
    file.write_text(text, encoding="utf-8")
    other = opened()
    other.confirmed()
    assert other.text("a-answer-view") != answer
    other("a-upload").find_element("css selector", "input[type=file]").send_keys(str(file))
    other.until(lambda: other.text("a-answer-view") == answer)


def test_two_open_pages_do_not_mix(opened, browser):
    """What is turned in one stays in it; each goes on from where it is."""
    one, two = opened(), opened()
    one.confirmed()
    two.confirmed()
    untouched = two.text("a-answer-view")
    one.slide("a-peak", KEY["home"])
    one.until(lambda: "(0.1x)" in one.text("a-peak-value"))
    one.confirmed()
    assert two.text("a-answer-view") == untouched
    two.slide("a-memory_bandwidth", KEY["right"])
    two.until(lambda: "(1.1x)" in two.text("a-memory_bandwidth-value"))
    assert "x)" not in two.text("a-peak-value")
    assert "x)" not in one.text("a-memory_bandwidth-value")


def test_a_link_carries_both_designs(opened, browser):
    """The address of one page opens another with the same two answers."""
    page = opened()
    page.confirmed()
    page("compare").click()
    page.confirmed("b")
    browser.find_element("css selector", "#tab label:last-of-type").click()
    page.slide("b-peak", KEY["right"] * 4)
    page.until(lambda: "First is design B" in page.text("beside-view"))
    page("share").click()
    page.until(lambda: "state=" in browser.current_url)
    url = browser.current_url
    assert unpack(url.partition("state=")[2]) == State(
        Design("today/llama2-70b"), Design("today/llama2-70b", scale={"peak": 1.75})
    )
    again = opened(url)
    again.until(lambda: again.text("b-answer-view") == page.text("b-answer-view") != "")
    assert again.text("a-answer-view") == page.text("a-answer-view")
    again("compare").click()
    again.until(lambda: not again("b-answers").is_displayed())


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("AAAA", "damaged"),
        ("A" * 65_000, "60,000 characters"),
        (pack(State(Design("../../../etc/passwd.yaml"))), "outside the folder"),
        (pack(State(Design("<script>alert(1)</script>"))), "no such scenario"),
        (pack(State(Design("x", "extends: /etc/hostname"))), "outside the folder"),
    ],
)
def test_a_hostile_link_is_refused_with_a_sentence(opened, address, browser, state, said):
    """The page opens all the same; nothing of the link runs."""
    page = opened(f"{address}?state={state}")
    page.until(lambda: said in page.text("notice") + page.text("a-answer-view"))
    assert browser.execute_script("return document.querySelectorAll('main script:not([type])').length") == 0


def test_another_host_s_name_is_turned_away(address):
    """A page of another site cannot reach the app through a name that leads here."""
    request = urllib.request.Request(address, headers={"Host": "example.org"})
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as answer:
        assert answer.code == 403


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_reads_it_in_light_and_dark(opened, browser, scheme):
    """No sideways scrolling at 390 px; text and ground differ by 4.5:1 (WCAG 2.1, 1.4.3); every control has a name."""
    page = opened()
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    size = {"width": NARROW, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.confirmed()
    assert browser.execute_script("return document.documentElement.scrollWidth") <= NARROW
    assert browser.execute_script(NAMELESS) == []
    colours = """const style = getComputedStyle(document.querySelector('.lead'));
        return [style.color, getComputedStyle(document.body).backgroundColor]"""
    ink, ground = (luminance(text) for text in browser.execute_script(colours))
    assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5
    assert (ink > ground) == (scheme == "dark")


def luminance(text: str) -> float:
    """Relative luminance of `rgb(r, g, b)` (WCAG 2.1)."""
    parts = json.loads("[" + text[text.index("(") + 1 : text.index(")")] + "]")[:3]
    linear = [v / 12.92 if (v := part / 255) <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
