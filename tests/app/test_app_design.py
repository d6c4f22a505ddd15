"""A design is a scenario file: what is answered, what is copied and what is sent are one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.app.design import ask
from sim.app.state import Design
from sim.errors import InputError
from sim.files import build
from sim.files.library import within
from sim.files.scenario import text_document
from sim.scenario import Scenario
from sim.simulation.properties import PROPERTIES

NAMES = ("paper/word-lm", "today/bert", "today/llama3-405b", "today/dlrm")
GRAPH = """
name: four
workload: {family: gpt2}
target: {steps: 100}
cluster:
  name: four
  accelerator: h100-sxm5-80gb
  graph:
    edges:
      - {ends: [0, 1], link: nvlink4}
      - {ends: [1, 2], bandwidth: 50 GB/s, latency: 2 us}
      - {ends: [2, 3], link: nvlink4, latency: 1 us}
      - {ends: [3, 0], link: nvlink4, directed: true}
      - {ends: [0, 3], link: nvlink4, directed: true}
plan: {data: 4, sub_batch: 1}
"""


def numbers(scenario: Scenario) -> list[float]:
    """Every figure that a hardware property scales."""
    chip, cluster = scenario.accelerator, scenario.cluster
    links = [level.link for level in cluster.levels]
    found = [*(entry.peak_flops for entry in chip.compute.values()), chip.memory.bandwidth, chip.memory.capacity_bytes]
    found += [chip.cache.capacity_bytes, chip.cache.bandwidth or 0.0, chip.kernel_overhead_s, chip.host_s]
    found += [v for link in links for v in (link.bandwidth, link.latency_s, link.base_s)]
    found += [v or 0.0 for link in links for v in (link.hop_latency_s, link.message_base_s)]
    return found + [v for edge in cluster.edges for v in (edge.bandwidth, edge.latency_s)]


@pytest.mark.parametrize("property", PROPERTIES)
@pytest.mark.parametrize("design", [*map(Design, NAMES), Design("four.yaml", GRAPH)], ids=lambda d: d.scenario)
def test_a_slider_says_in_a_file_what_scaling_the_property_does(design, property):
    """Against the property itself, applied to the record."""
    plain = ask(design).scenario
    scaled = PROPERTIES[property].scaled(plain, 1.5)
    asked = ask(replace(design, scale={property: 1.5})).scenario
    assert numbers(asked) == pytest.approx(numbers(scaled), rel=1e-11)
    assert not PROPERTIES[property].value(plain) or numbers(asked) != numbers(plain)


@pytest.mark.parametrize("text", ["", GRAPH])
def test_the_yaml_to_copy_is_the_scenario_that_was_answered(text):
    """Loaded again it is the same record, turned hardware, overrides and all."""
    name = "four.yaml" if text else "today/llama2-70b"
    sets = ("plan.sub_batch=2", "cluster.devices=4" if text else "cluster.levels.1.nics=4", "training.jitter=0.01")
    design = Design(
        name, text, sets if not text else sets[::2], {name: 0.5 + 0.25 * i for i, name in enumerate(PROPERTIES)}
    )
    asked = ask(design)
    again = build(text_document(asked.yaml, "copied.yaml"))
    assert repr(again) == repr(asked.scenario)


def test_another_cluster_keeps_the_devices_asked_for():
    """`cluster` and `cluster.devices` are two controls, said in one file."""
    asked = ask(Design("today/llama2-70b", "", ("cluster=dgx-h100-superpod", "cluster.devices=256", "plan.data=32")))
    assert (asked.scenario.accelerator.name, asked.scenario.cluster.devices) == ("h100-sxm5-80gb", 256)
    assert asked.yaml.startswith("extends: today/llama2-70b\n")
    assert repr(build(text_document(asked.yaml, "copied.yaml"))) == repr(asked.scenario)


@pytest.mark.parametrize(
    "design",
    [
        Design("../secret.yaml"),
        Design("../secret"),
        Design("~/secret.yaml"),
        Design("dropped", "extends: ../secret.yaml"),
        Design("dropped", "extends: today/bert\naccelerator: ../secret.yaml"),
        Design("dropped", "extends: today/bert\nworkload: {family: ../secret.json}"),
        Design("dropped", "extends: today/bert\nworkload: {family: /tmp/config.json}"),
        Design("dropped", "extends: inside.yaml"),
        Design("dropped", "extends: link.yaml"),
        Design("today/bert", "", ("cluster=../secret.yaml",)),
        Design("today/bert", "", ("framework=../secret.yaml",)),
        Design("today/bert", "", ("accelerator.generation=../secret",)),
        Design("today/bert", "", ("scaling=/etc/hostname",)),
    ],
    ids=lambda design: f"{design.scenario} {design.text} {design.sets}",
)
def test_no_file_outside_the_folder_is_read(design, tmp_path):
    """Whatever names it: a link, a dropped text, an override, a file of the folder, a symbolic link."""
    secret = tmp_path / "secret.yaml"
    secret.write_text("name: top-secret\nvalue: [unclosed")
    (tmp_path / "secret.json").write_text('{"model_type": "top-secret"}')
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "inside.yaml").write_text("extends: ../secret.yaml\n")
    (folder / "link.yaml").symlink_to(secret)
    with within(folder), pytest.raises(InputError) as caught:
        ask(design)
    assert "top-secret" not in str(caught.value)
    assert "unclosed" not in str(caught.value)
    assert "is not YAML" not in str(caught.value)


def test_files_of_the_folder_and_of_the_library_are_read(tmp_path):
    """Names in a dropped text start from the folder, wherever the server was started."""
    (tmp_path / "mine.yaml").write_text("extends: h100-sxm5-80gb\nname: mine\nmemory: {bandwidth: 5 TB/s}\n")
    with within(tmp_path):
        asked = ask(Design("dropped", "extends: today/llama2-70b\naccelerator: mine.yaml\n"))
    assert asked.scenario.accelerator.memory.bandwidth == 5e12
    with pytest.raises(InputError):
        ask(Design("dropped", "extends: today/llama2-70b\naccelerator: mine.yaml\n"))
