"""A real `penstock serve` for a test: port 0, ready when its log says so, and a checked clean exit."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from written_log import PATIENCE, WrittenLog

CHECKOUT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent


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

    def __init__(self, address: str, log: WrittenLog) -> None:
        super().__init__(address)
        self.wait_for = log.wait_for
        self.log = log.text  # all of it when the server has ended


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
    log = WrittenLog(process.stderr)
    try:
        address = log.wait_for(r"address\W+(http://127\.0\.0\.1:\d+)")[1]
        log.wait_for("is ready")
        yield Site(address, log)
    finally:
        process.terminate()
        try:
            status = process.wait(PATIENCE)
        finally:
            process.kill()
            log.wait_for_end()
            print(log.text())
    assert status == 0, "penstock serve did not stop cleanly: its log is below"


def manage(directory: Path, *arguments: str, **environment: str) -> None:
    """Runs `manage.py` of the project in `directory`. CalledProcessError when it fails."""
    subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=directory, env=os.environ | environment, check=True, timeout=300
    )
