"""The interpreter of a site: which one it is, and whether it can run Penstock. Asks it once, and loads nothing.

Refuses an interpreter that is not there, is too old, may not be executed, or lacks Penstock, each with what to do.
"""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock._native import version
from penstock.config import Config
from penstock.errors import ConfigurationError
from penstock.privileges import Identity

OLDEST = (3, 11)  # as in pyproject.toml
PATIENCE = 10.0  # seconds; an interpreter on a slow disk needs one

# Also understood by interpreters that are too old, so that they can say so.
QUESTION = """\
import json, os, sys
facts = {"version": list(sys.version_info[:3]), "prefix": sys.prefix, "penstock": "", "place": "", "problem": ""}
if sys.version_info >= (3, 11):
    try:
        import penstock._native
        facts["penstock"] = penstock._native.version()
        facts["place"] = os.path.dirname(os.path.dirname(penstock.__file__))
    except ImportError as error:
        facts["problem"] = str(error)
print(json.dumps(facts))
"""


class Facts(NamedTuple):
    """What an interpreter says of itself."""

    version: tuple[int, ...]
    prefix: str
    penstock: str  # its version; "" when it cannot be imported
    place: str  # the directory that penstock is imported from
    problem: str  # why it cannot


# What interpreters have said, by path and user: with the times of the files that it depends on.
answers: dict[tuple[str, int], tuple[tuple[float, ...], Facts]] = {}


def python_of(config: Config) -> str:
    """The interpreter that `python` or `venv` names; "" for this one. Raises ConfigurationError."""
    if config.python and config.venv:
        raise ConfigurationError(
            f"both python ({config.origin('python')}) and venv ({config.origin('venv')}) name an interpreter",
            "one of them is enough",
        )
    return config.python or (os.path.join(config.venv, "bin", "python") if config.venv else "")


def environment_root(python: str) -> str:
    """The virtual environment that an interpreter belongs to; "" for none."""
    root = os.path.dirname(os.path.dirname(python))
    return root if os.path.isfile(os.path.join(root, "pyvenv.cfg")) else ""


def ask(python: str, origin: str, environment: Mapping[str, str], identity: Identity | None = None) -> Facts:
    """What an interpreter says when `identity` executes it. A good answer is kept until a file of it changes.

    `origin` is who named it. Raises ConfigurationError when it is none that can run Penstock.
    """
    key = python, identity.uid if identity else os.geteuid()
    if key in answers and times(python, answers[key][1].place) == answers[key][0]:
        return answers[key][1]
    facts = hear(python, origin, environment, identity)
    shown = ".".join(map(str, facts.version))
    if facts.version < OLDEST:
        raise ConfigurationError(
            f"{python} ({origin}) is Python {shown}, and Penstock needs {'.'.join(map(str, OLDEST))} or later",
            "make a virtual environment with a newer one",
        )
    if not facts.penstock:
        raise ConfigurationError(
            f"Penstock cannot be imported by {python} ({origin}): {facts.problem}",
            f"install it there: `{python} -m pip install penstock=={version()}`",
        )
    answers[key] = times(python, facts.place), facts
    return facts


def hear(python: str, origin: str, environment: Mapping[str, str], identity: Identity | None) -> Facts:
    """Executes the interpreter. Raises ConfigurationError when it says nothing of use."""
    import subprocess  # noqa: PLC0415 (only for sites with an interpreter or a user of their own)

    who: dict[str, Any] = {}
    if identity:
        who = {"user": identity.uid, "group": identity.gid, "extra_groups": identity.groups}
    try:
        done = subprocess.run(
            [python, "-I", "-c", QUESTION],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            text=True,
            errors="replace",
            check=False,
            **who,
        )
        told = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"there is no interpreter {python} ({origin})",
            "`python3 -m venv DIR` makes a virtual environment; its interpreter is DIR/bin/python",
        ) from error
    except PermissionError as error:
        raise ConfigurationError(
            f"{identity or 'this user'} may not execute {python} ({origin})",
            f"each directory on the way there must let that user in: `namei -l {python}` shows which one does not",
        ) from error
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{python} ({origin}) does not answer like a Python: {error}") from error
    if not told:
        raise ConfigurationError(
            f"{python} ({origin}) does not answer like a Python: it ended with {done.returncode}", "", done.stderr
        )
    return Facts(tuple(told["version"]), told["prefix"], told["penstock"], told["place"], told["problem"])


def times(*paths: str) -> tuple[float, ...]:
    """When the files were last changed: installing another Penstock changes the directory that it is in."""
    return tuple(os.stat(path).st_mtime for path in paths if os.path.exists(path))


def execute_own(config: Config) -> None:
    """Goes on in the interpreter that the configuration names, if it is another one. Raises ConfigurationError."""
    python = python_of(config)
    if not python:
        return
    facts = ask(python, config.origin("python" if config.python else "venv"), os.environ)
    if facts.prefix != sys.prefix:
        os.execv(python, [python, *sys.orig_argv[1:]])
