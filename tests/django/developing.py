"""A real development server for a test, in a small project of its own: ready when it says so, and a checked exit."""

import os
import pty
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from running_site import PATIENCE, SCRIPTS, Visitor

PENSTOCK = (str(SCRIPTS / "penstock"), "runserver")
MANAGE = (sys.executable, "manage.py", "runserver")
COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")

SETTINGS = """
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
DEBUG = True
SECRET_KEY = "a key for a test"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["penstock.django", "django.contrib.staticfiles", "shelf"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
STATIC_URL = "static/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
GREETING = os.environ.get("GREETING", "good day")
"""
URLS = """
from django.urls import path
from shelf import views

urlpatterns = [
    path("", views.page),
    path("text/", views.text),
    path("pid/", views.pid),
    path("greeting/", views.greeting),
    path("threads/", views.threads),
    path("fails/", views.fails),
    path("hangs/", views.hangs),
    path("leaves/", views.leaves),
    path("stops/", views.stops),
]
"""
WSGI = """
import os
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
"""
MANAGE_PY = """
import os
import sys
from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
execute_from_command_line(sys.argv)
"""
VIEWS = """
import os
import sys
import threading
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render


def page(request):
    return render(request, "page.html")


def text(request):
    return HttpResponse("one")


def pid(request):
    return HttpResponse(str(os.getpid()))


def greeting(request):
    return HttpResponse(settings.GREETING)


def threads(request):
    return HttpResponse(str(request.environ["wsgi.multithread"]))


def fails(request):
    raise LookupError("the shelf is empty")


def hangs(request):
    print("hanging", file=sys.stderr, flush=True)
    threading.Event().wait()


def leaves(request):
    os._exit(7)


def stops(request):
    book = "Walden"
    breakpoint()
    return HttpResponse(book)
"""
PAGE = "<!DOCTYPE html><html><head><title>Shelf</title></head><body><p>first words</p></body></html>"


def write_project(directory: Path) -> Path:
    """A project with one application; returns its directory."""
    for name, text in {
        "manage.py": MANAGE_PY,
        "shop/__init__.py": "",
        "shop/settings.py": SETTINGS,
        "shop/urls.py": URLS,
        "shop/wsgi.py": WSGI,
        "shelf/__init__.py": "",
        "shelf/views.py": VIEWS,
        "shelf/templates/page.html": PAGE,
        "shelf/static/shelf.css": "p { color: black }",
    }.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


class Developing(Visitor):
    """A running development server: its site, and what it has written so far, without colours."""

    def __init__(self, directory: Path, command: tuple[str, ...], environment: dict[str, str], terminal: bool) -> None:
        super().__init__("")
        self.directory = directory
        self.terminal, theirs = pty.openpty() if terminal else (-1, subprocess.PIPE)
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
            stdin=theirs if terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs if terminal else subprocess.STDOUT,
            start_new_session=True,
        )
        if terminal:
            os.close(theirs)
        self.output = self.terminal if terminal else self.process.stdout.fileno()
        self.heard = ""  # all that it has written
        self.written = ""  # of that, what nobody has waited for
        self.pieces: queue.SimpleQueue[str] = queue.SimpleQueue()  # "" at the end
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        with suppress(OSError):  # how the end of a terminal is told
            while piece := os.read(self.output, 65536):
                self.pieces.put(piece.decode(errors="replace"))
        self.pieces.put("")

    def wait_for(self, pattern: str) -> re.Match:
        """Reads on until a text appears that has not been waited for before; returns the match."""
        while not (match := re.search(pattern, COLOURS.sub("", self.written))):
            piece = self.pieces.get(timeout=PATIENCE)
            assert piece, f"the server ended without {pattern!r}"
            self.heard += piece
            self.written += piece
            print(piece, end="")
        self.written = COLOURS.sub("", self.written)[match.end() :]
        return match

    def wait_until_ready(self) -> "Developing":
        self.address = self.wait_for(r"http://\S+:\d+")[0]
        self.wait_for("watching for changes")
        return self

    def save(self, name: str, old: str, new: str) -> None:
        """Replaces a text in a file, as an editor does: by another file in its place."""
        path = self.directory / name
        copy = path.with_name("." + path.name + ".new")
        copy.write_text(path.read_text().replace(old, new))
        copy.replace(path)

    def interrupt(self) -> int:
        """Presses Ctrl-C; returns the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextmanager
def developing(
    directory: Path, *arguments: str, command=PENSTOCK, address="127.0.0.1:0", terminal=False, **environment: str
) -> Iterator[Developing]:
    """Runs `penstock runserver` or `manage.py runserver`, and checks that Ctrl-C ends it with status 0."""
    server = Developing(directory, (*command, address, *arguments), environment, terminal)
    try:
        yield server
        if server.process.poll() is None:
            assert server.interrupt() == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait(PATIENCE)
        server.reader.join(PATIENCE)
        while not server.pieces.empty():
            print(server.pieces.get(), end="")
        os.close(server.output) if terminal else server.process.stdout.close()
