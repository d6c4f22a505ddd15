"""YAML: what scalars are, where nodes stand, and what is refused."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import InputError
from sim.files import loader
from sim.files.loader import core_scalar, load, parse


def problem(text):
    """The single problem of a document."""
    with pytest.raises(InputError) as caught:
        parse(text, "a.yaml")
    (found,) = caught.value.problems
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e9", 1e9),
        ("1.5E-3", 1.5e-3),
        (".5", 0.5),
        ("on", "on"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("2024-05-01", "2024-05-01"),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 17),
        ("true", True),
        ("~", None),
        ("", None),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("1_000", "1_000"),
        ("80 GiB", "80 GiB"),
        ("<<", "<<"),
    ],
)
def test_plain_scalars_follow_the_core_schema(text, value):
    """YAML 1.2 §10.3.2; PyYAML's own 1.1 reads 1e9 as text, on as true and 12:30 as 750."""
    read = core_scalar(text)
    assert read == value
    assert type(read) is type(value)


def test_nan_is_a_float():
    """`.nan` is refused where a number is due, not by the loader."""
    assert math.isnan(core_scalar(".nan"))


def test_quoted_scalars_are_text():
    """A person who quotes a number means text."""
    assert parse("a: '1e9'\nb: \"true\"").plain == {"a": "1e9", "b": "true"}


def test_every_leaf_knows_its_place():
    """Lines and columns count from 1."""
    leaves = {path: str(node.mark) for path, node in parse("a: 1\nb:\n  - x\n  - {c: 2}\n", "a.yaml").leaves()}
    assert leaves == {("a",): "a.yaml:1:4", ("b", 0): "a.yaml:3:5", ("b", 1, "c"): "a.yaml:4:9"}


def test_an_empty_document_is_an_empty_mapping():
    """A file of comments only is a scenario that gives nothing."""
    assert parse("# nothing\n").plain == {}


def test_duplicate_keys_are_refused_all_at_once():
    """Each names its place and the first use."""
    with pytest.raises(InputError) as caught:
        parse("a: 1\nb: {c: 1, c: 2}\na: 2\n", "a.yaml")
    assert [str(p) for p in caught.value.problems] == [
        "a.yaml:2:11: c: duplicate key (first at line 2)",
        "a.yaml:3:1: a: duplicate key (first at line 1)",
    ]


def test_an_alias_repeats_its_anchor():
    """Aliases are fine while they stay small."""
    assert parse("a: &x {b: 1}\nc: *x\n").plain == {"a": {"b": 1}, "c": {"b": 1}}


def test_an_alias_bomb_is_refused_before_it_expands():
    """Ten to the eleventh values in eleven lines."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 11)]
    assert "alias bomb" in str(problem("\n".join(lines)))


def test_an_anchor_inside_itself_is_refused():
    """A recursive document has no end."""
    assert problem("a: &a [*a]").rule == "alias without an anchor before it"


@pytest.mark.parametrize("opening", ["[", "{a: "])
def test_deep_nesting_is_refused(opening):
    """Nesting costs stack; no scenario needs sixty levels."""
    assert "nested more than" in problem(opening * 5000).rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a: [1", "is not YAML"),
        ("a: b: c", "is not YAML"),
        ("\ta: 1", "is not YAML"),
        ("a: \x00", "is not YAML"),
        ("--- 1\n--- 2\n", "must hold one YAML document"),
        ("a: !!python/object:os.system x", "tags are not accepted"),
        ("? [1, 2]\n: 3", "a key must be plain text"),
        ("a: " + "9" * 6000, "must be a number of fewer digits"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_place(text, rule):
    """One sentence each, and a line wherever the parser knows one."""
    assert problem(text).rule.startswith(rule)


@given(st.text(max_size=60))
@settings(max_examples=50, deadline=None)
def test_any_text_is_read_or_refused(text):
    """No text gets anything but a tree or an InputError out of the loader."""
    with contextlib.suppress(InputError):
        parse(text)


def test_files_that_cannot_be_read_are_input_errors(tmp_path, monkeypatch):
    """Missing, a directory, not text, too large."""
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    large = tmp_path / "large.yaml"
    large.write_text("a: 1\n" * 10)
    monkeypatch.setattr(loader, "MAX_BYTES", 20)
    rules = {}
    for path in (tmp_path / "none.yaml", tmp_path, binary, large):
        with pytest.raises(InputError) as caught:
            load(path)
        rules[path.name] = caught.value.problems[0].rule
    assert rules["none.yaml"] == "no such file"
    assert rules[tmp_path.name] == "is a directory, a YAML file is needed"
    assert rules["binary.yaml"] == "is not YAML: not UTF-8 text"
    assert rules["large.yaml"].startswith("is larger than")


def test_a_byte_order_mark_is_not_part_of_the_first_key(tmp_path):
    """Editors on Windows write one."""
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert load(path).plain == {"a": 1}
