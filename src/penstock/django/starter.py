"""Makes a Django project that is ready to deploy, by Django's own startproject with our template.

Everything is made in a temporary directory first: what is there already is never written over, and a project is made
whole or not at all.
"""

import keyword
import os
import re
import shlex
import shutil
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import NamedTuple

from penstock.errors import PenstockError, UsageError

TEMPLATE = Path(__file__).parent / "project_template"
OLDEST_DJANGO = (5, 2)  # whose SQLite knows transaction_mode; the same as the extra's
# What Django fills in; pages and style are copied as they are, because their braces are the project's own.
RENDERED = ["py", "env", "example", "md", "toml", "txt"]
# In a split layout each environment begins with this line; what comes after it moves into the single file.
SHARED = "from .base import *\n"


class Started(NamedTuple):
    """A new project."""

    directory: Path
    files: list[str]  # relative to the directory, sorted


def start_project(name: str, directory: str | None, is_single: bool) -> Started:
    """Makes the project `name` in `directory`, by default one of that name, here. Raises PenstockError."""
    check_name(name)
    check_django()
    target = Path(directory).expanduser().absolute() if directory else Path.cwd() / name
    if os.path.lexists(target) and (not directory or not target.is_dir()):
        raise UsageError(
            f"{target} is there already",
            f"choose another name or directory; `penstock startproject {name} DIR` adds to a directory that you have",
        )
    try:
        with tempfile.TemporaryDirectory() as place:
            made = Path(place, "project")
            made.mkdir()
            render(name, made, is_single)
            files = sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file())
            refuse_conflicts(name, target, files)
            move(made, target, files)
    except OSError as error:
        reason = f"no temporary file can be written: {error.strerror}"
        raise PenstockError(reason, "the variable TMPDIR names another place") from error
    return Started(target, files)


def next_steps(started: Started, has_colour: bool) -> str:
    """What to print: what was made, and what to type now."""
    bold, dim, plain = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if has_colour else ("", "", "")
    place = os.path.relpath(started.directory)
    enter = "" if place == os.curdir else f"  cd {shlex.quote(place)}\n"
    return (
        f"{bold}{started.directory}{plain} has a new Django project, {len(started.files)} files. Now:\n\n"
        f"{enter}"
        f"  python manage.py migrate\n"
        f"  penstock serve --reload       {dim}# http://127.0.0.1:8000{plain}\n\n"
        f"README.md tells how to go live.\n"
    )


def check_name(name: str) -> None:
    """UsageError when the name cannot be that of the project's package, with one that can."""
    if not name.isidentifier() or keyword.iskeyword(name):
        better = re.sub(r"\W+", "_", name).strip("_")
        hint = "use letters, digits and underscores, and begin with a letter"
        if better.isidentifier() and not keyword.iskeyword(better):
            hint = f"did you mean {better!r}?"
        raise UsageError(f"{name!r} cannot be the name of a Python package", hint)
    if TEMPLATE.joinpath(name).is_dir() or name == "manage":
        raise UsageError(f"{name!r} is the name of something else in the project", "choose another name")


def check_django() -> None:
    """PenstockError when there is no Django, or one that is too old for the project."""
    install = f"{sys.executable} -m pip install --upgrade Django"
    try:
        import django  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise PenstockError("a Django project needs Django, which this Python does not have", install) from error
    if django.VERSION < OLDEST_DJANGO:
        oldest = "{}.{}".format(*OLDEST_DJANGO)
        raise PenstockError(f"a new project needs Django {oldest}, and this Python has {django.__version__}", install)


def render(name: str, directory: Path, is_single: bool) -> None:
    """Has Django fill in the template. UsageError when the name belongs to a module."""
    import django  # noqa: PLC0415
    from django.core.management import CommandError  # noqa: PLC0415
    from django.core.management.commands import startproject  # noqa: PLC0415

    class Command(startproject.Command):  # type: ignore[misc]
        """Django's, with template files that have the names of none."""

        rewrite_template_suffixes = (("-tpl", ""),)

    try:
        Command().handle(
            name=name,
            directory=str(directory),
            template=str(TEMPLATE),
            extensions=RENDERED,
            files=[],
            verbosity=0,
            single_settings=is_single,
            django_series="{}.{}".format(*django.VERSION),
        )
    except CommandError as error:
        raise UsageError(str(error).partition(". ")[0].rstrip("."), "choose another name") from error
    if is_single:
        merge_settings(directory / name / "settings")
    directory.joinpath(".env").chmod(0o600)  # secrets will be added to it


def merge_settings(package: Path) -> None:
    """Makes one settings.py of a rendered settings package."""
    base, development, production = (
        package.joinpath(f"{module}.py").read_text("utf-8") for module in ("base", "development", "production")
    )
    shutil.rmtree(package)
    package.with_suffix(".py").write_text(single_settings(base, development, production), "utf-8")


def single_settings(base: str, development: str, production: str) -> str:
    """The text of a settings.py that does what the three modules do."""
    bodies = [textwrap.indent(text.partition(SHARED)[2].strip(), "    ") for text in (development, production)]
    return f"""{base}
environment = os.environ.get("DJANGO_ENV", "development")
if environment == "development":
{bodies[0]}
elif environment == "production":
{bodies[1]}
else:
    raise ImproperlyConfigured(f"DJANGO_ENV is {{environment!r}}; it can be development or production")
"""


def refuse_conflicts(name: str, target: Path, files: list[str]) -> None:
    """UsageError when a file, or the project's package, is there already."""
    there = [file for file in files if os.path.lexists(target / file)]
    if os.path.lexists(target / name) and not there:
        there = [name]
    if there:
        raise UsageError(
            f"{target} has {', '.join(there)} already",
            "choose another directory; `penstock init` adds what is missing to a Django project that you have",
        )


def move(source: Path, target: Path, files: list[str]) -> None:
    """Moves the files; takes away again what it made when that fails half-way."""
    made: list[Path] = []
    try:
        for file in files:
            place = target / file
            for directory in reversed([folder for folder in place.parents if not folder.exists()]):
                directory.mkdir()
                made.append(directory)
            with open(place, "xb") as copy:
                made.append(place)
                copy.write(source.joinpath(file).read_bytes())
            shutil.copymode(source / file, place)
    except OSError as error:
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink()
        raise PenstockError(f"{error.filename or place} cannot be made: {error.strerror}") from error
