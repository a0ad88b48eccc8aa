"""Two projects that could be anybody's, in a place that every server may read, and a way to ask for one of them."""

import os
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

SITE = """\
import os

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = ("SCRIPT_NAME", "PATH_INFO", "REMOTE_ADDR")
    said = [os.getcwd(), os.environ.get("DJANGO_SETTINGS_MODULE"), *(environ[name] for name in names)]
    return [" ".join(map(str, said)).encode()]
"""


@contextmanager
def two_projects() -> Iterator[Path]:
    """A directory in the place of /srv, with both sites."""
    with TemporaryDirectory(prefix="two-") as name:
        os.chmod(name, 0o755)
        for site in ("shop", "blog"):
            directory = Path(name, site, site)
            directory.mkdir(parents=True)
            directory.joinpath("wsgi.py").write_text(SITE)
        yield Path(name)


def ask(port: int, host: str, path: str = "/", headers: Mapping[str, str] | None = None) -> list[str]:
    """What the application says of a request: its directory, settings, SCRIPT_NAME, PATH_INFO and REMOTE_ADDR."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host, **(headers or {})})
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read().decode().split(" ")
