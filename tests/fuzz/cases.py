"""Mutated input: every shipped file and every option of every command, with values, types and structure changed."""

from __future__ import annotations

import copy
import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from hypothesis import strategies as st

from sim.cli.commands import cli, commands
from sim.files.loader import load

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios" / "paper").glob("*.yaml"))
ACCELERATORS = sorted((ROOT / "hardware" / "accelerators").glob("*.yaml"))
CLUSTERS = sorted((ROOT / "hardware" / "clusters").glob("*.yaml"))
DOMAINS = sorted((ROOT / "scenarios" / "scaling").glob("*.yaml"))
SETS = sorted((ROOT / "scenarios" / "published").glob("*.yaml"))
LONG = "fit_coverage"
SMALL = """\
name: small
target: {steps: 10}
workload: {family: transformer, sizes: {depth: 4, hidden: 256, heads: 4, vocabulary: 1000, sequence: 128}}
cluster: {extends: dgx-a100, devices: 8}
plan: {global_batch: 64, sub_batch: 2}
"""

Draw = Any

NUMBERS = [0, -1, 1, 2, 3, 0.5, -0.0, 1e-308, 5e-324, 1e9, 8e8, 2**31, 2**63, 2**64, 1e18, 1e300, 1e308, -1e308]
NUMBERS += [float("inf"), float("-inf"), float("nan"), 10**400, 1.0000001, 0.999999, 7, 4096, 65536, 1e-30]
UNITS = ["B", "GiB", "GB/s", "Gb/s", "TFLOP/s", "us", "s", "h", "W", "pJ/B", "USD", "furlongs", "GBps", "%", ""]
NAMES = ["", " ", "~", "h100-sxm5-80gb", "dgx-h100", "gpt2", "word-lm", "auto", "ring", "nonsense", "llama9", "none"]
NAMES += [
    "bf16",
    "fp8",
    "adam",
    "full",
    "../../etc/passwd",
    "/",
    ".",
    "nul\0",
    "\x1b[2J",
    "a\nb",
    "\u202e",
    "名",
    "x" * 500,
]
OTHERS: list[Any] = [None, True, False, [], {}, [[]], [1, 2], {"a": 1}, [None], {"extends": "nonsense"}, ["a", -1]]


def numbers() -> st.SearchStrategy[Any]:
    """From nothing to more than a float holds."""
    return st.one_of(st.sampled_from(NUMBERS), st.floats(-1e6, 1e6), st.integers(-9, 2000), st.floats(1e-12, 1e12))


def quantities() -> st.SearchStrategy[str]:
    """A number and a unit, right or wrong."""
    return st.tuples(numbers(), st.sampled_from(UNITS)).map(lambda pair: f"{pair[0]} {pair[1]}")


def values() -> st.SearchStrategy[Any]:
    """Anything a leaf may be replaced by."""
    return st.one_of(
        numbers(), quantities(), st.sampled_from(NAMES), st.sampled_from(OTHERS), st.text(max_size=8), numbers()
    )


def paths(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a tree, the root left out."""
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    return [place for key, child in items for place in ((*at, key), *paths(child, (*at, key)))]


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    """What stands there."""
    for step in path:
        tree = tree[step]
    return tree


def mutated(draw: Draw, tree: Any) -> Any:
    """`tree` with one to three changes: another value, a scaled number, a key removed, renamed, added or moved."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        places = paths(tree)
        if not places:
            return tree
        path = draw(st.sampled_from(places))
        holder, key = at(tree, path[:-1]), path[-1]
        kind = draw(st.sampled_from(["value", "value", "value", "scale", "drop", "rename", "add", "move", "wrap"]))
        if kind == "value":
            holder[key] = copy.deepcopy(draw(values()))
        elif kind == "scale":
            holder[key] = scaled(holder[key], draw(st.sampled_from([0, -1, 1e-9, 1e3, 1e9, 1e300, 0.5, 2, 3])))
        elif kind == "drop":
            del holder[key]
        elif kind == "rename" and isinstance(holder, dict):
            holder[draw(st.sampled_from([f"{key}s", str(key).upper(), "extends", "x\ny"]))] = holder.pop(key)
        elif kind == "add" and isinstance(holder, dict):
            holder[draw(st.sampled_from(["like", "options", "extends", "dead_links", "slow_devices"]))] = copy.deepcopy(
                draw(values())
            )
        elif kind == "move":
            holder[key] = copy.deepcopy(at(tree, draw(st.sampled_from(places))))
        else:
            holder[key] = [holder[key]]
    return tree


def scaled(value: Any, factor: float) -> Any:
    """A number, or the number of a quantity, times a factor."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value * factor
    number, _, unit = str(value).partition(" ")
    try:
        return f"{float(number) * factor} {unit}"
    except ValueError:
        return f"{value}{factor}"


def text_of(tree: Any) -> str:
    """JSON, which is YAML; infinities as YAML spells them."""
    text = json.dumps(tree, ensure_ascii=False)
    for name, spelled in (("-Infinity", "-.inf"), ("Infinity", ".inf"), ("NaN", ".nan")):
        text = text.replace(f" {name}", f" {spelled}")
    return text


def broken(draw: Draw, text: str) -> str:
    """Now and then a cut, a doubled or a strange character, so that the file is hardly YAML any more."""
    if draw(st.integers(0, 19)):
        return text
    place = draw(st.integers(0, len(text)))
    return (
        text[:place]
        + draw(st.sampled_from(["", "{", "\t", "\x00", "&a *a", "\x85", "!!python/x ", "'"]))
        + text[place:]
    )


@dataclass(frozen=True)
class Case:
    """One command line and the files it needs."""

    arguments: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)


def yaml_file(draw: Draw, source: Path | str) -> str:
    """A shipped file with changes."""
    tree = load(source).plain if isinstance(source, Path) else source
    return broken(draw, text_of(mutated(draw, tree)))


def scenario_case(draw: Draw) -> Case:
    """A scenario through every command that takes one."""
    source = draw(st.sampled_from(SCENARIOS))
    files = {"a.yaml": yaml_file(draw, source)}
    command = draw(st.sampled_from(["run", "run", "check", "show", "ops", "compare", "sweep", "place"]))
    more = {
        "compare": ("paper/word-lm",),
        "sweep": ("--key", draw(keys()), "--values", ",".join(draw(st.lists(written(), min_size=1, max_size=2)))),
        "place": ("--devices", "t4,a100-sxm4-80gb", "--rounds", "1", "--draws", "2"),
    }.get(command, ())
    as_json = ("--json",) if draw(st.booleans()) else ()
    return Case((command, "a.yaml", *more, *as_json), files)


def small_case(draw: Draw) -> Case:
    """A small transformer on eight devices: every field of plan, training, numerics and campaign is given a value."""
    sets = [f"{draw(keys())}={draw(written())}" for _ in range(draw(st.integers(1, 3)))]
    command = draw(st.sampled_from(["run", "run", "ops", "check"]))
    given = tuple(part for text in sets for part in ("--set", text))
    return Case((command, "small.yaml", *given, "--json"), {"small.yaml": SMALL})


def accelerator_case(draw: Draw) -> Case:
    """A chip as file of its own, and under a scenario."""
    files = {"chip.yaml": yaml_file(draw, draw(st.sampled_from(ACCELERATORS))), "small.yaml": SMALL}
    chip = "chip.yaml"
    arguments = draw(
        st.sampled_from(
            [
                ("check", chip),
                ("hardware", "show", chip),
                ("hardware", "show", chip, "--json"),
                ("hardware", "project", chip, "--year", "2030"),
                ("footprint", "gpt2", "--accelerator", chip),
                ("run", "small.yaml", "--set", f"accelerator={chip}", "--json"),
                ("ops", "small.yaml", "--set", f"accelerator={chip}", "--json"),
                ("compare", "small.yaml", "--accelerator", chip, "--accelerator", "t4"),
            ]
        )
    )
    return Case(arguments, files)


def cluster_case(draw: Draw) -> Case:
    """A cluster as file of its own, and under a scenario."""
    files = {"cluster.yaml": yaml_file(draw, draw(st.sampled_from(CLUSTERS))), "small.yaml": SMALL}
    name = "cluster.yaml"
    arguments = draw(
        st.sampled_from(
            [
                ("check", name),
                ("hardware", "show", name),
                ("hardware", "show", name, "--json"),
                ("collective", name, "--bytes", "1MiB"),
                ("collective", name, "--bytes", "1MiB", "--op", "all-to-all", "--json"),
                ("run", "small.yaml", "--set", f"cluster={name}", "--json"),
            ]
        )
    )
    return Case(arguments, files)


def domain_case(draw: Draw) -> Case:
    """A scaling domain, projected and under a scenario."""
    files = {"domain.yaml": yaml_file(draw, draw(st.sampled_from(DOMAINS)))}
    target = draw(st.one_of(st.just(()), numbers().map(lambda value: ("--target", str(value)))))
    arguments = draw(
        st.sampled_from(
            [
                ("project", "domain.yaml", *target),
                ("project", "domain.yaml", "--json"),
                ("check", "domain.yaml"),
                ("run", "paper/word-lm", "--set", "scaling=domain.yaml", "--json"),
            ]
        )
    )
    return Case(arguments, files)


def links_case(draw: Draw) -> Case:
    """The library's table of link types with one type changed."""
    tree = load(ROOT / "hardware" / "links.yaml").plain
    return Case(("check", "links.yaml"), {"links.yaml": text_of(mutated(draw, tree))})


def set_case(draw: Draw) -> Case:
    """A validation set with few rows: the rules, the header or the cells changed."""
    source = draw(st.sampled_from(SETS))
    tree = load(source).plain
    rows = list(csv.reader(io.StringIO((source.parent / tree.get("csv", f"{source.stem}.csv")).read_text())))
    few = [rows[0], *draw(st.lists(st.sampled_from(rows[1:]), min_size=1, max_size=2))]
    few = [list(row) for row in few]
    if draw(st.booleans()):
        tree = mutated(draw, tree)
    else:
        row = draw(st.integers(0, len(few) - 1))
        few[row][draw(st.integers(0, len(few[row]) - 1))] = draw(written())
    out = io.StringIO()
    csv.writer(out).writerows(few)
    if isinstance(tree, dict):
        tree["csv"] = "rows.csv" if draw(st.integers(0, 9)) else draw(values())
    files = {"set.yaml": text_of(tree), "rows.csv": out.getvalue()}
    arguments = draw(
        st.sampled_from(
            [
                ("validate", "set.yaml", "--json"),
                ("check", "set.yaml"),
                ("validate", source.stem, "--rows", "rows.csv"),
            ]
        )
    )
    if source.stem == LONG and arguments[0] == "validate":  # hundreds of fits, whatever its rows: 9 s of processor
        arguments = ("check", "set.yaml")
    return Case(arguments, files)


ASTRA = {
    "network.yml": {
        "topology": ["Ring", "Switch"],
        "npus_count": [8, 4],
        "bandwidth": [300.0, 50.0],
        "latency": [500, 9],
    },
    "system.json": {
        "scheduling-policy": "LIFO",
        "endpoint-delay": 10,
        "preferred-dataset-splits": 4,
        "all-reduce-implementation": ["ring", "halvingDoubling"],
        "all-gather-implementation": ["ring", "direct"],
        "collective-optimization": "localBWAware",
    },
}
CONFIG = {
    "model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4, "vocab_size": 1000,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "tie_word_embeddings": False,
}  # fmt: skip


def foreign_case(draw: Draw) -> Case:
    """Files of other programs: ASTRA-sim's network and system, a Hugging Face configuration."""
    files = {name: text_of(tree) for name, tree in ASTRA.items()} | {"config.json": text_of(CONFIG)}
    name = draw(st.sampled_from(sorted(files)))
    files[name] = broken(draw, text_of(mutated(draw, json.loads(files[name]))))
    system = ("--astra-system", "system.json") if name == "system.json" or draw(st.booleans()) else ()
    if name == "config.json":
        return Case((draw(st.sampled_from(["model", "footprint"])), "config.json"), files)
    return Case(("collective", "network.yml", "--bytes", "1MiB", *system), files)


def keys() -> st.SearchStrategy[str]:
    """Paths of the scenario's fields, and some that are none."""
    from sim.scenario import PlanRequest, SlowDevice, Target, Training  # noqa: PLC0415
    from sim.workload.records import Numerics  # noqa: PLC0415
    from sim.workload.transformer import Transformer  # noqa: PLC0415

    parts: dict[str, Any] = {"plan": PlanRequest, "training": Training, "target": Target}
    parts |= {"workload.numerics": Numerics, "workload.sizes": Transformer}
    known = [f"{part}.{name}" for part, record in parts.items() for name in record.__dataclass_fields__]
    known += ["cluster.devices", "accelerator", "cluster", "workload", "scaling", "plan", "name", "target.error"]
    known += ["accelerator.memory.capacity", "accelerator.memory.bandwidth", "accelerator.compute.matrix_unit.tile"]
    known += ["cluster.levels.0.size", "training.slow_devices", "nonsense", "plan.", ".", "a..b", "\x1b"]
    assert SlowDevice
    return st.sampled_from(known)


def written() -> st.SearchStrategy[str]:
    """A value as somebody types it."""
    typed = st.sampled_from(
        ["[{rank: 0, factor: 2}]", "[{rank: -1, factor: 1e308}]", "[4,4]", "{a: 1}", "{", "[", "on"]
    )
    return st.one_of(values().map(str), typed, st.integers(0, 64).map(str))


def options_case(draw: Draw) -> Case:
    """Every option of every command with a value of any kind."""
    name = draw(st.sampled_from(sorted(commands())))
    command: click.Command = cli.get_command(click.Context(cli), name)  # type: ignore[assignment]
    arguments = [name]
    if isinstance(command, click.Group):
        inner = draw(st.sampled_from(sorted(command.commands)))
        command = command.commands[inner]
        arguments.append(inner)
    usual = {"scenario": "small.yaml", "scenarios": "small.yaml", "paths": "small.yaml", "cluster": "dgx-a100"}
    usual |= {"chip": "t4", "domains": "word-lm", "sets": "epochs"}
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            given = usual.get(parameter.name or "", "t4" if name == "hardware" else "gpt2")
            arguments += [given if draw(st.integers(0, 5)) else draw(written())]
        elif isinstance(parameter, click.Option) and _wanted(draw, parameter):
            arguments.append(parameter.opts[-1])
            if not parameter.is_flag:
                arguments.append(_option_value(draw, parameter))
    return Case(tuple(arguments), {"small.yaml": SMALL})


def _wanted(draw: Draw, option: click.Option) -> bool:
    """Options that are required nearly always, others now and then; never help."""
    if "--help" in option.opts or "--debug" in option.opts or "--markdown" in option.opts:
        return False
    return bool(draw(st.integers(0, 9))) if option.required else not draw(st.integers(0, 3))


def _option_value(draw: Draw, option: click.Option) -> str:
    """A choice, a file to write, or a value of any kind; loops of a search stay short."""
    if option.name in ("rounds", "draws"):
        return "2"
    if isinstance(option.type, click.Choice) and draw(st.integers(0, 4)):
        return str(draw(st.sampled_from(list(option.type.choices))))
    if isinstance(option.type, click.Path):
        return str(
            draw(st.sampled_from(["out.svg", "out.html", "out", "small.yaml", "none/x.json", "/dev/full", "\0", "."]))
        )
    if option.name == "devices" and draw(st.booleans()):
        return str(draw(st.sampled_from(["t4,t4", "t4", ",", "t4,nonsense"])))
    return str(draw(written()))


KINDS = {
    "scenario": scenario_case,
    "small": small_case,
    "accelerator": accelerator_case,
    "cluster": cluster_case,
    "domain": domain_case,
    "links": links_case,
    "set": set_case,
    "foreign": foreign_case,
    "options": options_case,
}
