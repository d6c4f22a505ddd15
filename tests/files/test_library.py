"""The library: names, files, and where it is found."""

from __future__ import annotations

from pathlib import Path

import pytest

import sim
from sim.errors import InputError
from sim.files import library


def test_the_checkout_is_the_library_of_an_editable_install():
    """hardware/ and scenarios/ stand beside sim/."""
    assert library.root() == Path(sim.__file__).resolve().parents[1]
    assert "paper-2019" in library.names("accelerators")


def test_an_installed_package_carries_its_library(tmp_path, monkeypatch):
    """A wheel has both folders in sim/_data, and they come first."""
    package = tmp_path / "sim"
    for part in ("hardware/accelerators", "scenarios/paper"):
        (package / "_data" / part).mkdir(parents=True)
    (package / "_data/scenarios/paper/x.yaml").write_text("name: x\n")
    monkeypatch.setattr(library, "__file__", str(package / "files/library.py"))
    assert library.root() == package / "_data"
    assert library.names("scenarios") == ("paper/x",)
    assert library.find("scenarios", "paper/x") == package / "_data/scenarios/paper/x.yaml"


def test_a_package_without_its_library_says_so(tmp_path, monkeypatch):
    """Nothing is guessed."""
    monkeypatch.setattr(library, "__file__", str(tmp_path / "sim/files/library.py"))
    with pytest.raises(InputError, match="not installed"):
        library.root()


def test_names_have_no_suffix_and_parts_are_not_scenarios():
    """Subfolders are part of the name."""
    names = library.names("scenarios")
    assert "paper/word-lm" in names
    assert not any(name.startswith(("scaling/", "numerics/", "published/")) for name in names)
    assert library.shown(library.find("scenarios", "paper/word-lm")) == "scenarios/paper/word-lm.yaml"


def test_a_file_is_found_beside_the_one_that_names_it(tmp_path, monkeypatch):
    """Then from the current folder; a suffix makes it a file."""
    (tmp_path / "near").mkdir()
    for folder in (tmp_path / "near", tmp_path):
        (folder / "a.yaml").write_text("name: a\n")
    monkeypatch.chdir(tmp_path)
    assert library.find("scenarios", "a.yaml", tmp_path / "near") == tmp_path / "near/a.yaml"
    assert library.find("scenarios", "a.yaml").resolve() == tmp_path / "a.yaml"
    assert library.find("scenarios", "a").resolve() == tmp_path / "a.yaml"


def test_library_files_are_shown_from_their_root_and_others_as_given():
    """Messages read the same on every machine."""
    assert library.shown(Path("x/y.yaml")) == "x/y.yaml"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("paper/word-lmm", 'did you mean "paper/word-lm"?'),
        ("word-lm", 'did you mean "domains/word-lm" or "horizon/word-lm" or "paper/word-lm"?'),
        ("", "no such scenario"),
        ("a\x00b", "no such scenario"),
        ("../hardware/links", "no such scenario"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, message, tmp_path, monkeypatch):
    """And no name leads out of the library."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        library.find("scenarios", name)
    assert message in str(caught.value)


def test_a_directory_is_not_a_scenario(tmp_path):
    """The message says what is needed."""
    with pytest.raises(InputError, match="is a directory, a YAML file is needed"):
        library.find("scenarios", str(tmp_path))
