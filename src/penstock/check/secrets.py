"""Which files of a project hold secrets, and who may read them. Opens none of them."""

import glob
import os
import stat
import sys
from collections.abc import Iterator

from penstock.app import shorten
from penstock.check.findings import Finding, finding
from penstock.check.project import Project
from penstock.check.source import find_assignment

SQLITE = (".sqlite3", ".spatialite")  # the ends of engines' names
FOR_OTHERS = stat.S_IROTH | stat.S_IWOTH


def check(project: Project) -> Iterator[Finding]:
    """Files that every user of the machine may read, and the user that the site would run as."""
    for path in [*environment_files(project), *keyed_settings(project)]:
        if is_open(path):
            yield finding("W601", f"every user of this machine can read {shorten(path)}", object=described(path))
    for path in sqlite_files(project):
        if is_open(path):
            verb = "change" if os.stat(path).st_mode & stat.S_IWOTH else "read"
            yield finding("W602", f"every user of this machine can {verb} {shorten(path)}", object=described(path))
    if project.machine.is_root and not getattr(project.config, "user", ""):
        yield finding("W603")


def secret_files(project: Project) -> Iterator[str]:
    """Files that are for the site alone: variables, settings, configuration, databases."""
    yield from environment_files(project)
    yield from (
        path for path in (getattr(sys.modules.get(project.module), "__file__", None), project.config.file) if path
    )
    yield from sqlite_files(project)


def environment_files(project: Project) -> list[str]:
    """.env, .env.NAME, and no example of them."""
    paths = glob.glob(os.path.join(glob.escape(project.directory), ".env*"))
    return sorted(
        path for path in paths if os.path.isfile(path) and not path.endswith((".example", ".sample", ".dist"))
    )


def keyed_settings(project: Project) -> list[str]:
    """The settings file that has the key itself in it."""
    if not project.settings:
        return []
    written = find_assignment(project.module, "SECRET_KEY")
    key = getattr(sys.modules.get(project.module), "SECRET_KEY", None)
    return [written.path] if written and key and written.spells_out(key) else []


def sqlite_files(project: Project) -> list[str]:
    """The databases that are files."""
    databases = project.settings.DATABASES.values() if project.settings else []
    names = [str(entry.get("NAME") or "") for entry in databases if str(entry.get("ENGINE")).endswith(SQLITE)]
    return [name for name in names if os.path.isfile(name)]


def is_open(path: str) -> bool:
    """Whether others may read or write it, and reach it: directories on the way may keep them out."""
    if not os.stat(path).st_mode & FOR_OTHERS:
        return False
    above = os.path.dirname(os.path.realpath(path))
    while above != os.path.dirname(above):
        if not os.stat(above).st_mode & stat.S_IXOTH:
            return False
        above = os.path.dirname(above)
    return True


def described(path: str) -> str:
    """The path with its mode, as ls writes it."""
    return f"{shorten(path)} ({stat.filemode(os.stat(path).st_mode)})"
