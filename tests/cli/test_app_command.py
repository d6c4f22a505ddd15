"""`foretrain app` before its server runs: what it refuses, and that it says what it needs."""

from __future__ import annotations

import socket
import sys

import pytest


def test_without_its_extra_it_says_what_to_install(run, monkeypatch):
    """No traceback: the package and the command."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "dash" or name.startswith("sim.app")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dash", None)
    outcome = run("app", "today/bert")
    assert (outcome.code, outcome.out) == (2, "")
    assert "needs the package dash (pip install 'foretrain[app]')" in outcome.err


def test_a_port_in_use_is_told(run):
    """With the address and the reason, as wrong input."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        outcome = run("app", "today/bert", "--port", other.getsockname()[1])
    assert outcome.code == 2
    assert "address already in use" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["today/brt"], "no such scenario"),
        (["--port", "0"], "--port"),
        (["--folder", "nowhere"], "nowhere"),
        (["a.yaml", "--folder", "inside"], "outside the folder"),
    ],
)
def test_wrong_use_is_refused(run, tmp_path, monkeypatch, arguments, said):
    """Before anything listens."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("extends: today/bert\n")
    (tmp_path / "inside").mkdir()
    outcome = run("app", *arguments)
    assert outcome.code == 2
    assert said in outcome.err
