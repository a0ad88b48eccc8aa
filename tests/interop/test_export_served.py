"""The exports that start Penstock itself, started with exactly the exported files: a Procfile, and systemd's units.

Those for other servers are asked far more in test_behaviour.py.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from exported import AS_SYSTEMD, LIVE, Visitor, export, new_library
from foreign_server import SCRIPTS, free_port, running

READY = r"worker \d+ \(pid \d+\) is ready"


def procfile(library: Path, place: Path, port: int) -> AbstractContextManager[object]:
    export(library, "procfile", "--workers=1", to=place, **LIVE)
    line = re.search(r"(?m)^web: (.*)$", (place / "Procfile").read_text())[1]
    variables = LIVE | {"PATH": f"{SCRIPTS}:{os.environ['PATH']}", "PORT": str(port)}
    return running(["sh", "-c", f"exec {line}"], library, READY, variables)


def systemd(library: Path, place: Path, port: int) -> AbstractContextManager[object]:
    export(library, "systemd", f"--bind=127.0.0.1:{port}", "--workers=1", to=place, **LIVE)
    service, socket = ((place / f"library.{kind}").read_text() for kind in ("service", "socket"))
    address = re.search(r"ListenStream=(.*)", socket)[1]
    variables = [f"Environment={name}={value}" for name, value in LIVE.items()]
    assert [line for line in service.splitlines() if line.startswith("Environment=")] == variables
    words = shlex.split(re.search(r"ExecStart=(.*)", service)[1])
    return running([sys.executable, "-c", AS_SYSTEMD, library, address, *words], place, READY, LIVE)


@pytest.fixture(scope="module", params=[procfile, systemd], ids=["procfile", "systemd"])
def visitor(request) -> Iterator[Visitor]:
    port = free_port()
    with (
        new_library() as library,
        TemporaryDirectory(prefix="export-") as place,
        request.param(library, Path(place), port),
    ):
        yield Visitor(f"http://127.0.0.1:{port}")


def test_a_page_is_shown_with_its_style(visitor):
    page = visitor.get("/?q=walden").text
    assert "<strong>Walden" in page
    style = re.search(r'href="(/static/catalogue/style\.[0-9a-f]{12}\.css)"', page)[1]
    assert visitor.get(style).headers["Content-Type"].partition(";")[0] == "text/css"


def test_a_protected_file_is_for_members(visitor):
    assert "/accounts/login/" in visitor.get("/books/8/notes/").url
    visitor.post_form("/accounts/login/", {"username": "librarian", "password": "library"}).raise_for_status()
    assert b"Walden" in visitor.get("/books/8/notes/").content


def test_a_guarded_path_asks_for_a_user_of_the_group(visitor):
    people = [("librarian", "wrong"), ("reader", "reader"), ("librarian", "library")]
    statuses = [visitor.get("/catalogue.csv", auth=one).status_code for one in people]
    assert statuses == [401, 403, 200]
