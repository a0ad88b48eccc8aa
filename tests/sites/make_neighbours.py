"""Two virtual environments beside this one, for sites that differ: "same", this Python with another Django, and
"other", another Python with that Django and an engine of its own. `make neighbours` makes them; the checkout is used
in place in both. Where there is only one Python, tests of two are skipped and say so. Refuses one that is named and is
not there.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from glob import glob
from pathlib import Path

import pytest

from penstock.interpreter import OLDEST, ask

PLACE = Path(sys.prefix, "neighbours")
CHECKOUT = Path(__file__).parents[2]
DJANGO = "4.2"  # the oldest with security fixes when this was written, and never the one that the tests have
PYTHONS = "PENSTOCK_TEST_PYTHONS"  # names other interpreters, separated by colons, before all that are found

NEWEST = (3, 14)  # that this pyo3 knows

ASKED = "import sys; print(*sys.version_info[:2])"


def candidates() -> Iterator[str]:
    """Interpreters that may be there: those that are named, in the path, and of pyenv."""
    for named in filter(None, os.environ.get(PYTHONS, "").split(os.pathsep)):
        if not shutil.which(named):
            sys.exit(f"error: {PYTHONS} names {named}, which is no program")
        yield named
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        yield from filter(None, [shutil.which(f"python3.{minor}")])
    root = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    yield from sorted(glob(f"{root}/versions/3.*/bin/python"))


def other_python() -> str:
    """The first interpreter that is new enough and of another version than this one; "" when there is none."""
    for python in candidates():
        # One of pyenv's names may stand for a version that nobody has chosen: it ends with an error.
        done = subprocess.run([python, "-I", "-c", ASKED], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found = tuple(map(int, done.stdout.split()))
            if OLDEST <= found <= NEWEST and found != sys.version_info[:2]:
                return python
    return ""


def neighbour(name: str) -> Path:
    """The directory of one of them; skips the test when it has not been made, or for another checkout."""
    python = PLACE / name / "bin/python"
    if not python.exists():
        if name == "other" and not other_python():
            pytest.skip(f"there is only one Python here that Penstock runs on; {PYTHONS} names others")
        pytest.skip("`make neighbours` has not made the virtual environments beside this one")
    if Path(ask(str(python), "make neighbours", os.environ).place) != CHECKOUT / "src":
        pytest.skip("the virtual environments beside this one are another checkout's: `make neighbours`")
    return PLACE / name


def make(name: str, python: str) -> None:
    """One environment with Penstock's dependencies and the other Django, compiled: starts are not to do that."""
    place = PLACE / name
    uv = Path(sys.prefix, "bin/uv")
    run(uv, "venv", "--quiet", "--clear", "--python", python, place)
    install = (uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", place / "bin/python")
    run(*install, "--requirement", CHECKOUT / "pyproject.toml", f"Django~={DJANGO}.0")


def use_checkout(name: str) -> None:
    """Has an environment of this Python import Penstock, and its engine, from where this one does."""
    packages = sysconfig.get_path("purelib", vars={"base": str(PLACE / name)})
    Path(packages, "penstock.pth").write_text(f"{CHECKOUT / 'src'}\n")


def build_engine(name: str) -> None:
    """Builds the engine for another Python and installs the checkout there.

    As a quick build, in a directory of its own: pyo3 is compiled for one Python, and two in one would take turns.
    """
    place = PLACE / name
    built = {
        "VIRTUAL_ENV": str(place),
        "PYO3_PYTHON": str(place / "bin/python"),
        "CARGO_TARGET_DIR": str(CHECKOUT / "target/neighbours"),
        "CARGO_PROFILE_DEV_DEBUG": "false",
        "PATH": os.pathsep.join((str(Path(sys.prefix, "bin")), os.environ["PATH"])),
    }
    run(Path(sys.prefix, "bin/maturin"), "develop", "--quiet", "--uv", environment=built)


def run(*command: str | Path, environment: dict[str, str] | None = None) -> None:
    """Ends with an error when the command does."""
    subprocess.run(command, check=True, cwd=CHECKOUT, env=os.environ | (environment or {}))


if __name__ == "__main__":
    make("same", sys.executable)
    use_checkout("same")
    if python := other_python():
        make("other", python)
        build_engine("other")
    else:
        print(f"note: there is only one Python that Penstock runs on; {PYTHONS} names others", file=sys.stderr)
