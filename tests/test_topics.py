"""The six topics and three case studies: every command of their README run, its figure and its error recomputed.

The published column is that of the papers named there; the oracle of the answers is the command itself:
`UPDATE_README=1 pytest -n0 tests/test_topics.py` writes today's.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sim.cli.commands import cli
from sim.files.library import names
from sim.report.text import three

README = Path(__file__).parents[1] / "scenarios" / "horizon" / "topics" / "README.md"
SPARSE = 0.7  # of the published run
Tree = dict[str, Any]


def seconds(found: Tree) -> float:
    return float(found["time_to_target"]["seconds"])


def times(found: Tree) -> list[float]:
    return [seconds(case["result"]) for case in found["cases"]]


def faster(found: Tree) -> float:
    first, second = times(found)
    return first / second


def sparse_run(found: Tree) -> float:
    """A run of which SPARSE is sparse, over a dense one."""
    return 1.0 / (1.0 - SPARSE + SPARSE / faster(found))


def weights(found: Tree) -> float:
    first, second = (case["result"]["scenario"]["parameters"] for case in found["cases"])
    return float(second / first)


def operations(found: Tree) -> float:
    """Of the second, a step of as many words, over the first."""
    first, second = (case["result"]["step"]["model_flops"] for case in found["cases"])
    return float(second / first)


def samples_per_s(found: Tree) -> float:
    return float(found["plan"]["global_batch"] / found["step"]["time_s"])


def distilled(found: Tree) -> float:
    return float(next(v["parameters"] for v in found["variants"] if v["name"] == "distilled"))


def gain(found: Tree) -> float:
    """Of the searched placement over the cut by layers."""
    return float(found["placements"][1]["time_s"] / found["placements"][0]["time_s"])


def goodput(found: Tree) -> float:
    return float(found["campaign"]["goodput"])


def bf16(found: Tree) -> float:
    return float(found["cluster"]["together"]["peak_flops"]["bf16"])


def announced(found: Tree) -> float:
    return float(found["cluster"]["together"]["other_peaks"]["bf16"]["peak_flops"])


ANSWERS: dict[str, tuple[Callable[[Tree], float], float]] = {  # question → figure, unit of the cells
    "training: how much sooner on 32 boards than on one?": (faster, 1.0),
    "training: how long on half a pod?": (seconds, 60.0),
    "batch size: how long with 32,768 images a step?": (seconds, 60.0),
    "embeddings: how many samples a second over spread tables?": (samples_per_s, 1e6),
    "sparsity: how much faster is a run with 2:4 weights for 70 % of it?": (sparse_run, 1.0),
    "quantisation and distillation: how small is half of BERT?": (distilled, 1e6),
    "soft memory: what do scores kept on the chip save?": (faster, 1.0),
    "learning to learn: what does a searched placement gain on an expert's?": (gain, 1.0),
    "optical switches: what does the shape of 512 TPU v4 buy GPT-3?": (faster, 1.0),
    "optical switches: what share of the time do they train cabled for good?": (goodput, 0.01),
    "TPU v2: what has a board, as announced?": (announced, 1e12),
    "TPU v2: what has a pod of 64, as announced?": (announced, 1e15),
    "TPU v2: what has the pod by its cells and clock?": (bf16, 1e15),
    "GNMT with experts: how many times the weights?": (weights, 1.0),
    "GNMT with experts: in what share of the operations of a word?": (operations, 1.0),
    "GNMT with experts: in what share of the time?": (lambda found: 1.0 / faster(found), 1.0),
}


def rows(page: Path = README) -> list[list[str]]:
    """Cells of the rows of the page's tables: each has a command."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if "| `foretrain " in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def answer(command: str) -> Tree:
    """What a command of a cell prints, as JSON."""
    done = CliRunner().invoke(cli, [*command.strip("`").split()[1:], "--json"])
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def rewrite(page: Path, row: list[str], cells: list[str]) -> None:
    """Another row in the place of one."""
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace(f"| {' | '.join(row)} |", f"| {' | '.join(cells)} |"), encoding="utf-8")


def number(cell: str) -> float:
    found = re.match(r"[+-]?[\d.]+", cell)
    assert found, cell
    return float(found[0])


def test_the_table_asks_what_is_answered_here() -> None:
    assert [row[0] for row in rows()] == list(ANSWERS)


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row[0]))
def test_a_figure_is_what_its_command_prints(row: list[str]) -> None:
    """Answer to three digits, error of it against the published figure."""
    question, command, printed, published, error = row
    figure, unit = ANSWERS[question]
    computed = figure(answer(command)) / unit
    if os.environ.get("UPDATE_README"):
        shown, error = (
            re.sub(r"^[\d.]+", three(computed), printed),
            f"{100.0 * (computed / number(published) - 1.0):+.1f} %",
        )
        return rewrite(README, row, [question, command, shown, published, error])
    assert printed.split()[0].rstrip("x") == three(computed)
    assert number(error) == pytest.approx(100.0 * (computed / number(published) - 1.0), abs=0.06)


def test_every_scenario_of_the_folder_answers_a_question() -> None:
    commands = " ".join(row[1].strip("`") for row in rows()).split()
    there = {name for name in names("scenarios") if name.startswith("horizon/topics/")}
    assert there == {word for word in commands if word.startswith("horizon/topics/")}
