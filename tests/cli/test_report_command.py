"""`foretrain report` and `foretrain cite`: from scenario, run folder and study file to a page; sources as BibTeX."""

from __future__ import annotations

import json
import re

import pytest

NAME = "paper/frontier-image"


def entries(bibtex):
    """Entries of a .bib file: kind and fields by key; braces must balance."""
    assert bibtex.count("{") == bibtex.count("}")
    found = {}
    for kind, key, body in re.findall(r"@(\w+)\{(\w+),\n(.*?)\n\}", bibtex, re.DOTALL):
        assert key not in found
        found[key] = {"kind": kind, **dict(re.findall(r"^  (\w+) = \{(.*)\},$", body, re.MULTILINE))}
    return found


def test_a_run_folder_and_its_scenario_give_one_page(run, tmp_path):
    """The folder's seed and scenario are those of the run; a page that exists is kept."""
    assert run("run", NAME, "-o", tmp_path / "r", "--seed", "3", "--quiet").code == 0
    one, two = tmp_path / "one.html", tmp_path / "two.html"
    assert run("report", tmp_path / "r", "-o", one, "--quiet").code == 0
    assert run("report", tmp_path / "r" / "scenario.yaml", "--seed", "3", "-o", two, "--quiet").code == 0
    assert one.read_bytes() == two.read_bytes()
    assert run("report", NAME, "-o", one).code == 2


def test_a_study_file_is_a_subject(run, tmp_path):
    """With a scenario's options it is refused: a study was simulated already."""
    file, page = tmp_path / "s.db", tmp_path / "s.html"
    assert run("sweep", NAME, "--axis", "plan.sub_batch=16,32", "-o", file, "--quiet").code == 0
    assert run("report", file, "-o", page, "--quiet").code == 0
    assert "2 of 2 designs simulated" in page.read_text(encoding="utf-8")
    refused = run("report", file, "-o", page, "--seed", "1", "--force")
    assert (refused.code, "go with a scenario" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((NAME,), "-o page.html"),
        ((NAME, "-o", "page.svg"), "must end in .html"),
        (("paper/wordlm", "-o", "page.html"), "did you mean"),
    ],
)
def test_what_is_wrong_is_said(run, arguments, says):
    outcome = run("report", *arguments)
    assert outcome.code == 2
    assert says in outcome.err


def test_a_folder_that_is_no_run_is_refused(run, tmp_path):
    (tmp_path / "run.json").write_text("[]")
    outcome = run("report", tmp_path, "-o", tmp_path / "p.html")
    assert outcome.code == 2
    assert "is not the run.json of a run folder" in outcome.err


def test_only_models_that_took_part_are_cited(run, tmp_path):
    """One device: no collective, no sharding; with a tensor degree Megatron-LM is named."""
    alone = run("cite", NAME).out
    assert "Hestness" in alone
    assert "Megatron-LM" not in alone
    assert "Patarasuk" not in alone
    file = tmp_path / "split.yaml"
    file.write_text("{workload: {family: gpt2}, cluster: dgx-h100, plan: {tensor: 4}, target: {steps: 10}}")
    split = run("cite", file).out
    assert "Megatron-LM" in split
    assert "Patarasuk" in split
    assert "Hestness" not in split


def test_bibtex_has_an_entry_per_source(run):
    """Every source of the JSON is an entry; papers by key, files as @misc with their words."""
    sources = json.loads(run("cite", NAME, "--json").out)["sources"]
    found = entries(run("cite", NAME, "--bibtex").out)
    assert len(found) == len(sources) + 1  # foretrain itself
    papers = [source["paper"] for source in sources if source["paper"]]
    assert papers
    for paper in papers:
        assert found[paper["key"]]["title"] == f"{{{paper['title']}}}"
        assert found[paper["key"]]["year"] == str(paper["year"])
    assert found["hestness2017"]["eprint"] == "1712.00409"
    assert run("cite", NAME, "--json", "--bibtex").code == 2
