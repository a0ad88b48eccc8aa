"""The three projects that every server serves, each ready for visitors as on a live site, with probes added.

A new project of `penstock startproject`, the example, and a new Wagtail project.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from foreign_server import SCRIPTS
from interop_project import give_away, manage

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
STYLE = b"body { color: #1f5f5b }\n" * 20
NOTES = b"Reading notes, for members.\n" * 10

SETTINGS = """\
from {module} import *
SECRET_KEY = "a-key-of-production-" * 3
ALLOWED_HOSTS = ["site.example", "other.example", "127.0.0.1"]
PROBED_URLS, ROOT_URLCONF = ROOT_URLCONF, "probe_urls"
PROBED_FILES = {protected!r}
# Nobody's password is worth the time of a good hash here.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Nor is the database worth the disk's time.
from django.db.backends.signals import connection_created
def hurry(connection, **_):
    connection.cursor().execute("PRAGMA synchronous = OFF")
connection_created.connect(hurry, weak=False)
"""
# In one process: each start of a large project takes a second.
FILL = """\
from django.contrib.auth.models import Group, User
from django.core.management import call_command
call_command("migrate", verbosity=0)
for name in {fixtures!r}:
    call_command("loaddata", name, verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
members = Group.objects.create(name="members")
User.objects.create_superuser("editor", "editor@example.com", "correct-horse").groups.add(members)
User.objects.create_user("guest", "guest@example.com", "correct-horse")
"""


@dataclass(frozen=True)
class Project:
    """What a visitor, and who starts a server, has to know of a project."""

    name: str
    settings: str
    wsgi: str
    admin: str
    welcome: str
    missing: str
    make: Callable[[Path], None]
    fixtures: tuple[str, ...] = ()
    protected: str = "protected"
    static: str = "var/static"
    media: str = "var/media"


def make_new(directory: Path) -> None:
    subprocess.run([SCRIPTS / "penstock", "startproject", "mysite", directory], check=True, capture_output=True)


def make_library(directory: Path) -> None:
    ignored = shutil.ignore_patterns("var", "__pycache__")
    shutil.copytree(CHECKOUT / "examples/library", directory, ignore=ignored, dirs_exist_ok=True)


def make_wagtail(directory: Path) -> None:
    subprocess.run([SCRIPTS / "wagtail", "start", "mysite", directory], check=True, capture_output=True)


PROJECTS = {
    project.name: project
    for project in (
        Project(
            *("new", "mysite.settings.production", "mysite.wsgi", "/admin/", "It works", "This page is not here."),
            make_new,
        ),
        Project(
            *("library", "library.settings", "library.wsgi", "/admin/", "The library", "<h1>Not Found</h1>"),
            make_library,
            fixtures=("books",),
            protected="notes",
        ),
        Project(
            *("wagtail", "mysite.settings.production", "mysite.wsgi", "/django-admin/"),
            *("Welcome to your new Wagtail site!", "Sorry, this page could not be found."),
            make_wagtail,
            static="static",
            media="media",
        ),
    )
}


@dataclass(frozen=True)
class Place:
    """A project on disk, and the variables that its servers are started with."""

    project: Project
    directory: Path
    variables: dict[str, str]

    @property
    def static(self) -> Path:
        return self.directory / self.project.static

    @property
    def media(self) -> Path:
        return self.directory / self.project.media

    @property
    def protected(self) -> Path:
        return self.directory / self.project.protected


@contextmanager
def ready(project: Project) -> Iterator[Place]:
    """The project with its database, two users, a group, static files and files to protect."""
    variables = {
        "DJANGO_SETTINGS_MODULE": "probe_settings",
        "DJANGO_DEBUG": "0",
        "SECRET_KEY": "a-key-of-production-" * 3,
        "USE_HTTPS": "0",
    }
    with TemporaryDirectory(prefix="behaviour-") as place:
        directory = Path(place, "site")
        Path(place).chmod(0o755)
        directory.mkdir()
        project.make(directory)
        for source in (HERE / "behaviour_project").glob("*.py"):
            shutil.copy(source, directory)
        found = Place(project, directory, variables)
        text = SETTINGS.format(module=project.settings, protected=str(found.protected))
        directory.joinpath("probe_settings.py").write_text(text)
        manage(directory, "shell", "-c", FILL.format(fixtures=project.fixtures), **variables)
        fill(found)
        give_away(directory)
        yield found


def fill(place: Place) -> None:
    """Files of known content, one of them with a hash in its name and one that nobody may see."""
    place.protected.mkdir(exist_ok=True)
    place.protected.joinpath("notes.txt").write_bytes(NOTES)
    place.static.joinpath("probe.css").write_bytes(STYLE)
    place.static.joinpath(f"probe.{hashlib.md5(STYLE).hexdigest()[:12]}.css").write_bytes(STYLE)
    place.static.joinpath(".hidden").write_bytes(STYLE)
    # Before anybody uploads: whoever makes them owns them.
    for name in ("uploads", "covers", "images", "original_images"):
        place.media.joinpath(name).mkdir(parents=True)
