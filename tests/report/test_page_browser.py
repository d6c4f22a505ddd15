"""The pages of `report` in a real browser: offline, drawn, without an error, readable on a phone, text as text."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from sim.cli.commands import cli

pytestmark = pytest.mark.browser
HOSTILE = "<script>alert(1)</script>"
SCENARIOS = {
    "run": ["today/llama2-70b", "--set", f"name={HOSTILE}"],
    "paper": ["paper/word-lm"],
    "comparison": ["today/llama2-70b", "today/gpt3-175b"],
}
NARROW = 390  # px
FIRST_PAINT_S = 2.0


@pytest.fixture(scope="module", params=SCENARIOS)
def page(request, tmp_path_factory):
    """The file that `report` writes."""
    file = tmp_path_factory.mktemp("page") / f"{request.param}.html"
    done = CliRunner().invoke(cli, ["report", *SCENARIOS[request.param], "-o", str(file)])
    assert done.exit_code == 0, done.output
    return file


@pytest.fixture
def opened(browser, page):
    """The page without a network, closed after the test."""
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    browser.get_log("browser")
    browser.get(page.as_uri())
    yield browser
    browser.close()
    browser.switch_to.window(first)


def severe(browser) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_every_figure_is_drawn_without_an_error_and_soon(opened):
    """Offline; a hostile name of the scenario is text."""
    figures = opened.execute_script("return document.querySelectorAll('figure').length")
    drawn = opened.execute_script(
        "return [...document.querySelectorAll('figure')].filter(f => f.querySelector('.main-svg, svg, table')).length"
    )
    assert drawn == figures >= 3
    assert severe(opened) == []
    paint = opened.execute_script("return performance.getEntriesByName('first-paint').map(e => e.startTime)")
    assert paint
    assert paint[0] < FIRST_PAINT_S * 1e3
    assert opened.execute_script("return document.querySelectorAll('main script:not([type])').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_reads_it(opened, scheme):
    """No sideways scrolling, and the ground follows the reader's choice."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": NARROW, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= NARROW
    ground = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    shade = sum(json.loads("[" + ground[ground.index("(") + 1 : ground.index(")")] + "]")[:3]) / 3
    assert (shade < 128) == (scheme == "dark")
    assert severe(opened) == []
