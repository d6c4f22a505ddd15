"""What `import sim` offers."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import sim


@pytest.mark.parametrize("name", sim.__all__)
def test_every_public_name_is_there(name: str):
    """Each comes from the room it lives in."""
    assert getattr(sim, name).__name__ == name


def test_the_core_runs_from_python():
    """The example of the package's own docstring."""
    result = sim.simulate(sim.load_scenario("paper/frontier-image"), levers=False)
    assert result.step.time_s > 0


def test_importing_the_package_loads_no_room():
    """Start-up stays fast: names are imported when they are used."""
    code = "import sim, sys; print([m for m in sys.modules if m.startswith(('sim.', 'numpy', 'yaml'))])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_the_names_are_listed_and_the_version_is_the_distribution_s():
    """`dir(sim)` before anything was imported, and `sim.__version__`."""
    assert {*sim.__all__, "__version__"} <= set(dir(sim))
    assert sim.__version__ == version("foretrain")


def test_an_unknown_name_is_an_attribute_error():
    """As of any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        sim.nothing  # noqa: B018  (the access is the test)
