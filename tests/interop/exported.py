"""What `penstock export` writes, and the site of the example that it is about."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from foreign_server import PATIENCE, SCRIPTS
from interop_project import manage
from requests.adapters import HTTPAdapter

CHECKOUT = Path(__file__).parents[2]
LIVE = {"DJANGO_DEBUG": "0"}
# Who may read the catalogue as a table: a rule of Penstock, which Apache can keep too.
GUARD = """
[[site.auth]]
path = "/catalogue.csv"
groups = ["staff"]
over_http = true
"""

# Does what systemd does before it executes a service: the socket is 3, has a name, and is meant for this process.
AS_SYSTEMD = """
import os, socket, sys
directory, address, *words = sys.argv[1:]
host, _, port = address.rpartition(":")
listener = socket.create_server((host, int(port)))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
os.chdir(directory)
os.execv(words[0], words)
"""


@contextmanager
def new_library() -> Iterator[Path]:
    """The example as on a live site, in a place that every server may read and write, with a guarded path."""
    with TemporaryDirectory(prefix="export-") as place:
        os.chmod(place, 0o755)
        library = Path(place, "library")
        shutil.copytree(CHECKOUT / "examples/library", library, ignore=shutil.ignore_patterns("var", "__pycache__"))
        with open(library / "penstock.toml", "a") as settings:
            settings.write(GUARD)
        manage(library, "migrate")
        manage(library, "loaddata", "books")
        manage(library, "shell", "-c", ADD_GROUP)
        manage(library, "collectstatic", "--no-input", **LIVE)
        yield library


ADD_GROUP = """
from django.contrib.auth.models import Group, User
User.objects.get(username="librarian").groups.add(Group.objects.create(name="staff"))
User.objects.create_user("reader", password="reader")
"""


def export(project: Path, kind: str, *arguments: str, to: Path, **environment: str) -> None:
    """Has the files of a kind written into `to`. CalledProcessError when that fails."""
    subprocess.run(
        [SCRIPTS / "penstock", "export", kind, *arguments, "--write", to],
        cwd=project,
        env=os.environ | environment,
        check=True,
        capture_output=True,
        timeout=60,
    )


class Anew(HTTPAdapter):
    """A connection for each request, redirects too: uWSGI closes its own without saying so."""

    def send(self, *arguments, **options):
        self.poolmanager.clear()
        return super().send(*arguments, **options)


class Visitor(requests.Session):
    """One visitor of a site: keeps cookies, and no connection."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.mount("http://", Anew())

    def request(self, method, path, **options):
        return super().request(method, self.address + path, **{"timeout": PATIENCE} | options)

    def post_form(self, path, fields, files=None):
        """Opens the form first, as a browser does, and sends its CSRF token along."""
        self.get(path).raise_for_status()
        fields = {**fields, "csrfmiddlewaretoken": self.cookies["csrftoken"]}
        return self.post(path, data=fields, files=files, headers={"Referer": self.address + path})
