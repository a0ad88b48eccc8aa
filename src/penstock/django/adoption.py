"""What an existing Django project lacks to go live, and how to add it. Runs none of the project's code.

New files and lines at the end of .gitignore and .env.example are added; lines of the project's own change only for
those who say so. What is done once is found done the next time.
"""

import difflib
import fnmatch
import os
import re
import shutil
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple

from penstock.app import find
from penstock.config import FILE_NAME, find_above, load
from penstock.django.project import is_manage
from penstock.django.settings_source import Source, Variable
from penstock.django.starter import TEMPLATE
from penstock.errors import AppNotFound, PenstockError

# Never committed.
IGNORED = (".env", "__pycache__/")
SECRET = re.compile("SECRET|PASSWORD|TOKEN|KEY|DSN|URL")  # a default of such a variable is not shown
EXAMPLE = "# The variables that the settings read. Copy this file to .env, or set real variables, which win.\n"


class Change(NamedTuple):
    """One file, as it is and as it should be."""

    path: Path
    before: str | None  # None: it is not there
    after: str
    why: str
    asks: bool = False  # it touches what somebody has written, so they have to agree


class Project(NamedTuple):
    """A project that is there."""

    directory: Path
    settings: str  # the module; "" when nothing says it in plain words


def find_project(start: str) -> Project:
    """The project whose manage.py is here or above. AppNotFound when there is none."""
    manage = find_above(start, "manage.py")
    if not manage or not is_manage(manage):
        raise AppNotFound(
            f"there is no Django project in {start}: no manage.py here or above",
            "`penstock startproject NAME` makes a new one",
        )
    directory = os.path.dirname(manage)
    try:
        # Without the shell's own variables: they may be meant for another project.
        settings = find(load({"chdir": directory}, {}, directory), {}).settings
    except AppNotFound:
        settings = ""
    return Project(Path(directory), settings)


def plan(project: Project, with_changes: bool) -> list[Change]:
    """What to add, and what to change. Files that are as they should be are not in it."""
    sources = settings_sources(project)
    changes = []
    # In settings of several modules, each environment has its own values already.
    if len(sources) == 1:
        [(path, source)] = sources.items()
        changes = [Change(path, source.text, source.improved(), "values that differ on a live site", asks=True)]
    if with_changes and changes:
        sources = {path: Source(changes[0].after)}
    has_own_place = any(re.search(r'STATIC_ROOT = .*BASE_DIR.*"var"', source.text) for source in sources.values())
    additions = [
        toml(project),
        example(project, list(sources.values())),
        ignored(project, (*IGNORED, "/var/") if has_own_place else IGNORED),
    ]
    return [change for change in (*additions, *changes) if change.after != (change.before or "")]


def toml(project: Project) -> Change:
    """Our own file, with everything in it left as the default."""
    path = project.directory / FILE_NAME
    text = TEMPLATE.joinpath(f"{FILE_NAME}-tpl").read_text("utf-8")
    text = text.replace("{{ project_name }}", project.settings.partition(".")[0] or project.directory.name)
    there = read(path) if path.exists() else None
    after = re.sub(r"(?m)^(\w+ = )", r"# \1", text) if there is None else there
    return Change(path, there, after, "how Penstock serves the project")


def example(project: Project, sources: list[Source]) -> Change:
    """The list of variables, with those that it does not name yet."""
    path = project.directory / ".env.example"
    there = read(path) if path.exists() else None
    named = set(re.findall(r"(?m)^[#\s]*(?:export\s+)?([A-Za-z_]\w*)\s*=", there or ""))
    lines = [example_line(variable) for variable in variables(sources) if variable.name not in named]
    if there is None and project.settings:
        lines.insert(0, f"# DJANGO_SETTINGS_MODULE={project.settings}")
    added = "".join(f"{line}\n" for line in lines)
    after = EXAMPLE + "\n" + added if there is None else appended(there, added)
    return Change(path, there, after, "the variables that its settings read")


def example_line(variable: Variable) -> str:
    """A variable as it stands in .env.example: to be filled in, or with the value that it has without."""
    if variable.default is None:
        return f"{variable.name}="
    return f"# {variable.name}={'' if SECRET.search(variable.name) else variable.default}"


def ignored(project: Project, wanted: tuple[str, ...]) -> Change:
    """.gitignore with what must not be committed, unless this one or one above it has that already."""
    path = project.directory / ".gitignore"
    there = read(path) if path.exists() else None
    patterns = [
        line.strip().strip("/") for file in ignore_files(project.directory) for line in read(file).splitlines()
    ]
    missing = [line for line in wanted if not any(fnmatch.fnmatch(line.strip("/"), pattern) for pattern in patterns)]
    added = "".join(f"{line}\n" for line in missing)
    return Change(path, there, appended(there or "", added), "what git leaves alone")


def ignore_files(directory: Path) -> list[Path]:
    """The .gitignore here, and those above it in the same repository."""
    places = [directory, *directory.parents]
    top = next((number for number, place in enumerate(places) if place.joinpath(".git").exists()), 0)
    return [path for place in places[: top + 1] if (path := place / ".gitignore").is_file()]


def appended(text: str, added: str) -> str:
    """The text with lines at its end, in its own way to end a line."""
    if not added or not text:
        return text + added
    newline = "\r\n" if "\r\n" in text else "\n"
    return text + ("" if text.endswith("\n") else newline) + added.replace("\n", newline)


def variables(sources: list[Source]) -> list[Variable]:
    """What the modules read, each variable once."""
    found: dict[str, Variable] = {}
    for source in sources:
        for variable in source.variables():
            found.setdefault(variable.name, variable)
    return list(found.values())


def settings_sources(project: Project) -> dict[Path, Source]:
    """The settings module, and those of the project that it takes its settings from."""
    sources: dict[Path, Source] = {}
    waiting = [project.settings]
    while waiting:
        name = waiting.pop()
        path = module_file(project.directory, name)
        if path and path not in sources:
            sources[path] = parse(path)
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            waiting += [resolve_name(other, package) for other in sources[path].shared() if package or other[0] != "."]
    return sources


def module_file(directory: Path, name: str) -> Path | None:
    """The file of a module, when it is the project's own."""
    place = directory.joinpath(*name.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def parse(path: Path) -> Source:
    """A module of the settings. PenstockError when it is not Python."""
    try:
        return Source(read(path))
    except SyntaxError as error:
        raise PenstockError(f"{path} is not valid Python: {error.msg}, line {error.lineno}") from error


def read(path: Path) -> str:
    """The text of a file, its line ends as they are. PenstockError when it cannot be read."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise PenstockError(f"{path} cannot be read: {error}") from error


def apply(changes: list[Change]) -> None:
    """Writes the files, each whole or not at all. PenstockError when one cannot be written."""
    for change in changes:
        path = change.path.resolve()
        beside = path.with_name(f".{path.name}.penstock")
        try:
            with open(beside, "w", encoding="utf-8", newline="") as file:
                file.write(change.after)
            if change.before is not None:
                shutil.copymode(path, beside)
            os.replace(beside, path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise PenstockError(f"{path} cannot be written: {error.strerror}") from error


def report(project: Project, changes: list[Change], with_changes: bool, is_rehearsal: bool, has_colour: bool) -> str:
    """What is done and what is not, line by line, as in a diff."""
    bold, plain = ("\x1b[1m", "\x1b[0m") if has_colour else ("", "")
    settings = f" with the settings {project.settings}" if project.settings else ""
    lines = [f"{bold}{project.directory}{plain}: a Django project{settings}"]
    if not changes:
        return f"{lines[0]}\n\nThere is nothing to add.\n"
    waiting = [change for change in changes if change.asks and not with_changes]
    for change in changes:
        later = "  (only with --yes)" if change in waiting else ""
        lines += ["", f"{bold}{change.path.relative_to(project.directory)}{plain}: {change.why}{later}"]
        lines += difference(change, has_colour)
    lines.append("")
    done = len(changes) - len(waiting)
    if is_rehearsal:
        lines.append("Nothing was written.")
    elif done:
        lines.append("1 file was written." if done == 1 else f"{done} files were written.")
    if waiting:
        lines.append("`penstock init --yes` changes the lines that are there already, too.")
    return "\n".join(lines) + "\n"


def difference(change: Change, has_colour: bool) -> Iterator[str]:
    """The lines that come and go; a new file's as they will be. Keys are not shown."""
    before = (change.before or "").splitlines()
    _, _, *lines = difflib.unified_diff(before, change.after.splitlines(), n=0, lineterm="")
    for line in lines:
        if line.startswith("@@"):
            continue
        shown = re.sub(r"(SECRET_KEY.*?)(['\"])[^'\"]{12,}\2", r"\1\2…\2", line)
        colour = "\x1b[32m" if line.startswith("+") else "\x1b[31m"
        text = f"  {shown[0]} {shown[1:]}".rstrip()
        yield f"{colour}{text}\x1b[0m" if has_colour else text
