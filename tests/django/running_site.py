"""A real `penstock serve` for a test: port 0, ready when its log says so, and a checked clean exit."""

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

CHECKOUT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent
# Seconds until a server that does not answer, or does not leave, fails the test instead of hanging it.
PATIENCE = 60


class Visitor(requests.Session):
    """One visitor of a running site: keeps cookies, takes addresses relative to the site."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    def request(self, method, path, **options):
        return super().request(method, self.address + path, **{"timeout": PATIENCE} | options)

    def post_form(self, path, fields, files=None, **options):
        """Opens the form first, as a browser does, and sends its CSRF token along."""
        self.get(path).raise_for_status()
        fields = {**fields, "csrfmiddlewaretoken": self.cookies["csrftoken"]}
        return self.post(path, data=fields, files=files, headers={"Referer": self.address + path}, **options)


class Site(Visitor):
    """The first visitor of a site, who also reads the server's log."""

    def __init__(self, address: str, lines: queue.SimpleQueue[str], written: list[str]) -> None:
        super().__init__(address)
        self.lines, self.written = lines, written  # the server's log: not yet waited for; all of it

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Reads the server's log up to a line that matches."""
        while not (match := re.search(pattern, line := self.lines.get(timeout=PATIENCE))):
            assert line, f"the server ended without a line like {pattern!r}"
        return match

    def log(self) -> str:
        """What the server has written so far; all of it when it has ended."""
        return "".join(self.written)


@contextmanager
def serve(directory: Path, *arguments: str, **environment: str) -> Iterator[Site]:
    """Runs `penstock serve` in `directory` and checks that it leaves with status 0 on SIGTERM.

    Prints its log, which pytest shows when the test fails. AssertionError when it does not start, or leaves otherwise.
    """
    process = subprocess.Popen(
        [SCRIPTS / "penstock", "serve", "--bind", "127.0.0.1:0", *arguments],
        cwd=directory,
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    written: list[str] = []
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()  # "" at the end

    def read() -> None:
        for line in process.stderr:
            written.append(line)
            lines.put(line)
        lines.put("")

    reader = threading.Thread(target=read)
    reader.start()
    try:
        address = ""
        while "is ready" not in (line := lines.get(timeout=PATIENCE)):
            assert line, "penstock serve did not start: its log is below"
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                address = found[0]
        yield Site(address, lines, written)
    finally:
        process.terminate()
        try:
            status = process.wait(PATIENCE)
        finally:
            process.kill()
            reader.join(PATIENCE)
            print("".join(written))
    assert status == 0, "penstock serve did not stop cleanly: its log is below"


def manage(directory: Path, *arguments: str, **environment: str) -> None:
    """Runs `manage.py` of the project in `directory`. CalledProcessError when it fails."""
    subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=directory, env=os.environ | environment, check=True, timeout=300
    )
