"""Scenario files: joined, overridden, read; wrong input told with its place."""

from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.files import library, load_document, load_scenario


def problems(path, *sets):
    """Messages of everything wrong, without the folder."""
    with pytest.raises(InputError) as caught:
        load_scenario(path, sets)
    return [str(p).replace(f"{path}:", "") for p in caught.value.problems]


def test_a_scenario_is_read_with_its_library_parts(small):
    """Names become parts, quantities SI floats, what is left out its default."""
    scenario = load_scenario(small)
    assert scenario.name == "small"
    assert scenario.scaling.curve.alpha == 13.0
    assert scenario.workload.sizes == {"hidden": 512, "vocabulary": 10004}
    assert scenario.workload.numerics.compute == "fp32"
    assert scenario.accelerator.memory.bandwidth == 898e9
    assert scenario.cluster.devices == 4
    assert scenario.cluster.levels[0].link.bandwidth == 56e9
    assert scenario.framework.bucket_bytes == 25e6
    assert scenario.plan.tensor is None


def test_a_set_overrides_one_leaf(small):
    """Also inside a part that is only named, inside a list, and the accelerator under both of its paths."""
    assert load_scenario(small, ["scaling.curve.alpha=14"]).scaling.curve.alpha == 14
    assert load_scenario(small, ["cluster.levels.0.size=8"]).cluster.devices == 8
    for path in ("accelerator", "cluster.accelerator"):
        assert load_scenario(small, [f"{path}.memory.capacity=80 GiB"]).accelerator.memory.capacity_bytes == 80 * 2**30
        assert load_scenario(small, [f"{path}=v100-sxm2-32gb"]).accelerator.name == "v100-sxm2-32gb"
    later = load_scenario(small, ["accelerator=v100-sxm2-32gb", "accelerator.memory.capacity=1 GB"])
    assert (later.accelerator.name, later.accelerator.memory.capacity_bytes) == ("v100-sxm2-32gb", 1e9)


def test_a_null_empties_an_optional_field(small):
    """What is empty is chosen."""
    assert load_scenario(small, ["plan.sub_batch="]).plan.sub_batch is None
    assert load_scenario(small, ["plan.sub_batch=null"]).plan.sub_batch is None


def test_a_published_model_is_a_workload_by_its_name(small):
    """A mapping over it keeps it."""
    workload = load_scenario(small, ["workload=gpt3-175b", "workload.numerics.compute=fp16"]).workload
    assert (workload.family, workload.published, workload.numerics.compute) == ("transformer", True, "fp16")
    assert (workload.sizes["hidden"], workload.sizes["depth"]) == (12288, 96)


def test_extends_lays_a_file_over_others(small, write):
    """The upper file wins leaf by leaf; the accelerator beside the cluster is the cluster's."""
    upper = write("extends: a.yaml\naccelerator: {memory: {capacity: 1 TB}}\nplan: {data: 4}\n", "b.yaml")
    scenario = load_scenario(upper)
    assert scenario.accelerator.name == "paper-2019"
    assert scenario.accelerator.memory.capacity_bytes == 1e12
    assert (scenario.plan.data, scenario.plan.sub_batch) == (4, 128)


def test_a_part_may_extend_a_library_file(small, write):
    """A mapping over a name extends that name."""
    upper = write("extends: [a.yaml]\nscaling: {target_error: 2.6}\n", "b.yaml")
    assert load_scenario(upper).scaling.target_error == 2.6
    other = write("extends: a.yaml\nscaling: {extends: char-lm, target_error: 1.0}\n", "c.yaml")
    assert load_scenario(other).scaling.unit == "char"


def test_extends_in_a_circle_is_refused(write):
    """With the whole chain."""
    first = write("extends: b.yaml\n")
    write("extends: a.yaml\n", "b.yaml")
    (message,) = problems(first)
    assert "extends itself" in message
    assert "a.yaml → " in message


def test_every_leaf_tells_where_it_comes_from(small):
    """File and line, the override, or that it is a default."""
    leaves = {leaf.path: leaf for leaf in load_document(small, ["plan.data=2"]).leaves}
    assert str(leaves["plan.sub_batch"].mark) == f"{small}:13:14"
    assert str(leaves["scaling.curve.alpha"].mark).startswith("scenarios/scaling/word-lm.yaml:")
    assert str(leaves["plan.data"].mark) == "--set plan.data=2"
    assert (leaves["plan.tensor"].value, str(leaves["plan.tensor"].mark)) == (None, "default")
    assert "framework.bucket_bytes" not in leaves


def test_problems_of_all_parts_are_told_together(small):
    """One run of `check` is enough."""
    sets = ["plan.daat=3", "accelerator.memory.capacity=-80 GiB", "workload.sizes.hiden=1", "sacling=1"]
    assert problems(small, *sets) == [
        "--set accelerator.memory.capacity=-80 GiB: cluster.accelerator.memory.capacity: "
        'must be positive, got "-80 GiB"',
        '--set plan.daat=3: plan.daat: unknown key (did you mean "data"?)',
        '--set sacling=1: sacling: unknown key (did you mean "scaling"?)',
        '--set workload.sizes.hiden=1: workload.sizes.hiden: unknown key (did you mean "hidden"?)',
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("plan.data", "must be PATH=VALUE, for example plan.data=64"),
        ("plan..data=1", "must be PATH=VALUE, for example plan.data=64"),
        ("=1", "must be PATH=VALUE, for example plan.data=64"),
        ("plan.data=[1", "the value is not YAML: did not find expected ',' or ']'"),
        ("cluster.levels.7.size=2", "cluster.levels.7: no such element, the list has 1"),
        ("plan.data=many", 'plan.data: must be a whole number, got "many"'),
        ("plan.data.more=1", "plan.data: must be a whole number, got a mapping"),
        ("no.such.path=1", "no: unknown key"),
        ("cluster.levels.0.size=0", "cluster.levels.0.size: must be positive, got 0"),
        ("cluster.levels.0.link.bandwidth=56", "needs a unit, written like"),
        ("cluster.levels.0.link.bandwidth=56 GB", "must be bandwidth, written like"),
        ("cluster.levels.0.link.bandwidth=-56 GB/s", 'must be positive, got "-56 GB/s"'),
        ("cluster.levels.0.link.bandwidth=nan GB/s", "must be finite"),
        ("accelerator.memory.bandwidth=inf GB/s", "must be finite"),
        ("accelerator=paper2019", 'did you mean "paper-2019"?'),
        ("accelerator=../../README", "no such accelerator"),
        ("workload.family=lstm", 'did you mean "lstm_lm"?'),
        ("target.error=9.3", "already reached by guessing, got 9.3 (best guess 9.2107)"),
        ("target={error: 2, steps: 3}", "must name one of error, steps, not 2"),
        ("scaling=null", "scaling: is required to know how much data the target needs"),
        ("cluster=null", "cluster: is required"),
        ("workload=null", "workload: is required"),
        ("cluster.devices=0", "cluster.devices: must be positive, got 0"),
    ],
)
def test_wrong_overrides_are_told_with_their_rule(small, override, message):
    """Each names the override it comes from."""
    (found,) = problems(small, override)
    assert found.startswith(f"--set {override}: ") or override.endswith("=null")
    assert message in found


def test_a_target_without_a_domain_may_be_an_amount(small):
    """Samples, units or steps need no learning curve."""
    scenario = load_scenario(small, ["scaling=null", "target.steps=1000"])
    assert (scenario.scaling, scenario.target.steps) == (None, 1000.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cluster: is required"),
        ("- 1\n", "must be a mapping, got a list"),
        ("5\n", "must be a mapping, got 5"),
        ("name: [\n", "is not YAML"),
        ("name: a\nname: b\n", "2:1: name: duplicate key (first at line 1)"),
        ("extends: nowhere.yaml\n", "1:10: no such file, got nowhere.yaml"),
        ("extends: {a: 1}\n", "1:10: extends: must be the name of a file"),
        ("cluster: [1]\nworkload: 5\nscaling: word-lm\n", "cluster: must be a mapping, got a list"),
    ],
)
def test_wrong_files_are_told_with_line_and_column(write, text, message):
    """The message starts where the mistake stands."""
    assert message in "\n".join(problems(write(text)))


def test_settings_that_extend_are_laid_over_those_below(write):
    """README: leaf by leaf. A part that names a thing replaces it."""
    write("workload: gpt2\ncluster: {extends: dgx-a100, devices: 4}\nplan: {global_batch: 1024, tensor: 2}\n", "b.yaml")
    over = write("extends: b.yaml\nplan: {extends: auto, sub_batch: 2}\ncluster: {extends: dgx-h100}\n", "o.yaml")
    tree = load_document(over).node.plain
    assert tree["plan"] == {"global_batch": 1024, "tensor": 2, "search": True, "sub_batch": 2}
    assert (tree["cluster"]["name"], tree["cluster"].get("devices")) == ("dgx-h100", None)


def test_a_file_is_read_once_however_often_it_is_extended(write):
    """Forty files that each extend the one below twice are forty files, not 2^40."""
    write("extends: paper/word-lm\n", "e0.yaml")
    for number in range(1, 41):
        top = write(f"extends: [e{number - 1}.yaml, e{number - 1}.yaml]\n", f"e{number}.yaml")
    assert load_document(top).node.plain["name"] == load_document("paper/word-lm").node.plain["name"]


def test_a_long_chain_is_refused(write):
    """With its limit, where it is passed."""
    write("extends: paper/word-lm\n", "c0.yaml")
    for number in range(1, 900):
        top = write(f"extends: c{number - 1}.yaml\n", f"c{number}.yaml")
    with pytest.raises(InputError, match=r"c\d+.yaml:1:10: extends more than 60 files"):
        load_document(top)


def test_an_empty_name_is_the_file_s(write):
    """Null takes the default; text must say something, and is placed."""
    assert load_scenario(write("extends: paper/word-lm\nname:\n", "mine.yaml")).name == "mine"
    with pytest.raises(InputError, match=r"two.yaml:2:7: name: must not be empty"):
        load_scenario(write('extends: paper/word-lm\nname: ""\n', "two.yaml"))


LOST = {
    "a cluster, a depth, a key": (
        "extends: a.yaml\ncluster: nope\nworkload: {sizes: {hidden: -2}}\nplanx: 3\ntarget: {error: -1}\n",
        ["2:10: cluster: no such cluster", "3:28: workload.sizes.hidden: must be", "4:1: planx: unknown key",
         "5:17: target.error: must be positive"],
    ),
    "a chip, a unit, a domain": (
        "extends: a.yaml\nscaling: {extends: nowhere, unit: 3}\n"
        "accelerator: {extends: h1000, memory: {capacity: 3 furlongs, bandwith: 3 TB/s}}\n",
        ["2:20: scaling: no such scaling domain", "2:35: scaling.unit: must be text",
         "3:24: cluster.accelerator: no such accelerator", "3:50: cluster.accelerator.memory.capacity: must be bytes",
         "3:62: cluster.accelerator.memory.bandwith: unknown key"],
    ),
    "the file below": (
        "extends: gone.yaml\nworkload: {sizes: {hidden: 7}}\ncluster: {devices: -4}\nplan: {tensor: 0}\n",
        ["1:10: no such file", "3:20: cluster.devices: must be", "4:16: plan.tensor: must be at least 1"],
    ),
    "a family, formats, a link, an input": (
        "target: {steps: 9}\nworkload: {family: llama9, numerics: nope}\ntraining: {input: nope, jitter: 2}\n"
        "cluster: {name: x, accelerator: nope, levels: [{name: a, topology: rign, size: 8, link: nvlinkk}]}\n",
        ["2:20: workload.family: unknown model family", "2:38: workload.numerics: no such set of number formats",
         "3:19: training.input: no such input", "3:33: training.jitter: must be less than 1",
         "4:33: cluster.accelerator: no such", "4:68: cluster.levels.0.topology: must be one of",
         "4:89: cluster.levels.0.link: unknown link type"],
    ),
    "a framework": (
        "extends: a.yaml\nframework: {name: megatron-corn, bucket: 1 furlong}\nplan: {tensor: 0}\n"
        "training: {critical_batch: 3 furlongs}\n",
        ["2:19: framework.name: unknown framework", "2:42: framework.bucket: must be bytes",
         "3:16: plan.tensor: must be at least 1", "4:28: training.critical_batch: is neither in samples nor in words"],
    ),
    "a limit of a framework": (
        "extends: a.yaml\nframework: chainermn\nplan: {tensor: 2, data: 0}\n",
        ["3:16: plan.tensor: chainermn", "3:25: plan.data: must be at least 1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LOST)
def test_a_name_that_leads_nowhere_is_told_with_all_the_rest(case, small, write):
    """Every problem at once and in file order; none that only follows from what was not found."""
    text, expected = LOST[case]
    found = problems(write(text, "b.yaml"))
    assert len(found) == len(expected), found
    for message, start in zip(found, expected, strict=True):
        assert start in message


def test_wrong_options_are_told_with_the_file(small):
    """Each `--set` that is none, and what the file has wrong."""
    found = problems(small, "plan.data", "plan.tensor=0", "cluster.levels.7.size=3", "workload=nope")
    starts = ("workload: no such", "plan.tensor: must", "cluster.levels.7: no such element", "must be PATH=VALUE")
    assert all(any(start in message for message in found) for start in starts), found
    assert len(found) == len(starts), found


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("hardware/clusters/paper-2019-ring.yaml", "'cluster', no scenario (`foretrain hardware show` prints it"),
        ("scenarios/scaling/word-lm.yaml", "'scaling domain', no scenario (`foretrain project` takes it"),
        ("scenarios/published/llm_steps.yaml", "'validation set', no scenario (`foretrain validate` runs it"),
    ],
)
def test_a_file_of_another_kind_is_told_with_what_takes_it(file, says, tmp_path):
    """Not as a scenario with every key unknown; by its keys too, where it lies elsewhere."""
    text = (library.root() / file).read_text(encoding="utf-8")
    mine = tmp_path / "mine.yaml"
    mine.write_text(text, encoding="utf-8")
    for path in (library.root() / file, mine):
        with pytest.raises(InputError) as caught:
            load_scenario(path)
        assert says in str(caught.value)
