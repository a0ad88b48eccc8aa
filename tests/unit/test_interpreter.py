import json
import os
import sys
from pathlib import Path

import pytest

from penstock import interpreter
from penstock._native import version
from penstock.errors import ConfigurationError
from penstock.interpreter import ask, environment_root, python_of


def program(path: Path, text: str) -> str:
    """An executable shell script at the path."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def answer(**facts: object) -> str:
    """A program's text that answers like a Python with these facts."""
    usual = {"version": [3, 12, 1], "prefix": "/x", "penstock": "9.9", "place": "/", "problem": ""}
    return f"echo '{json.dumps(usual | facts)}'"


def test_without_python_and_venv_there_is_no_other_interpreter(configure):
    assert python_of(configure()) == ""


def test_a_virtual_environment_means_its_interpreter(configure, tmp_path):
    assert python_of(configure(venv="../env")) == str(tmp_path.parent / "env/bin/python")
    assert python_of(configure(python="p/bin/python3")) == str(tmp_path / "p/bin/python3")


def test_python_and_venv_together_are_refused_with_both_places(configure):
    with pytest.raises(ConfigurationError, match=r"both python \(--python\) and venv \(PENSTOCK_VENV\)"):
        python_of(configure({"PENSTOCK_VENV": "a"}, python="b"))


def test_this_interpreter_has_this_penstock():
    facts = ask(sys.executable, "--python", os.environ)
    assert (facts.version, facts.penstock, facts.prefix) == (tuple(sys.version_info[:3]), version(), sys.prefix)


def test_a_virtual_environment_is_told_by_its_mark(tmp_path):
    python = tmp_path / "bin/python"
    assert environment_root(str(python)) == ""
    tmp_path.joinpath("pyvenv.cfg").touch()
    assert environment_root(str(python)) == str(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            answer(version=[3, 9, 18], penstock=""),
            r"p \(--python\) is Python 3.9.18, and Penstock needs 3.11 or later",
        ),
        (answer(penstock="", problem="No module named 'penstock'"), "Penstock cannot be imported by .* No module"),
        ("exit 3", "does not answer like a Python: it ended with 3"),
        ("echo hello", "does not answer like a Python"),
    ],
)
def test_an_interpreter_that_cannot_run_penstock_is_refused(tmp_path, text, expected):
    with pytest.raises(ConfigurationError, match=expected):
        ask(program(tmp_path / "p", text), "--python", os.environ)


def test_an_interpreter_that_is_not_there_is_named():
    with pytest.raises(ConfigurationError, match=r"there is no interpreter /not/there \(--python\)"):
        ask("/not/there", "--python", os.environ)


def test_a_file_that_cannot_be_executed_is_named(tmp_path):
    tmp_path.joinpath("p").touch(0o644)
    with pytest.raises(ConfigurationError, match=r"this user may not execute .*p \(--python\)") as error:
        ask(str(tmp_path / "p"), "--python", os.environ)
    assert "namei -l" in error.value.hint


def test_a_good_answer_is_kept_until_a_file_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(interpreter, "answers", {})
    place = tmp_path / "packages"
    place.mkdir()
    python = program(tmp_path / "p", f"echo asked >> {tmp_path}/asked\n{answer(place=str(place))}")
    asked = tmp_path / "asked"
    ask(python, "--python", os.environ)
    ask(python, "--python", os.environ)
    assert asked.read_text().count("asked") == 1
    os.utime(place, (1, 1))  # another Penstock was installed there
    ask(python, "--python", os.environ)
    assert asked.read_text().count("asked") == 2
