"""Debian's nginx with a site's own file, in a directory of its own; the system's configuration is not read."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from apache_server import PATH
from foreign_server import running


def skip_unless_installed() -> None:
    """Skips the test, with the reason, where there is no nginx."""
    if not shutil.which("nginx", path=PATH):
        pytest.skip("nginx is not installed: `make system-packages` installs it")


@contextmanager
def prepared(site: Path) -> Iterator[list[str]]:
    """The command line of an nginx that serves one site."""
    skip_unless_installed()
    with TemporaryDirectory(prefix="nginx-") as place:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        lines = [
            *(["user root;"] if not os.geteuid() else []),
            "error_log stderr notice;",
            f"pid {place}/pid;",
            "events {}",
            "http {",
            "include /etc/nginx/mime.types;",
            "access_log off;",
            *(f"{kind}_temp_path {place}/{kind};" for kind in kinds),
            f"include {site};",
            "}",
        ]
        Path(place, "nginx.conf").write_text("\n".join(lines) + "\n")
        yield [str(shutil.which("nginx", path=PATH)), "-e", "stderr", "-p", place, "-c", f"{place}/nginx.conf"]


@contextmanager
def start(site: Path) -> Iterator[None]:
    """Serves the site of the file, where the file says."""
    with prepared(site) as command, running([*command, "-g", "daemon off;"], site.parent, "start worker process "):
        yield


def check(site: Path) -> None:
    """CalledProcessError when nginx does not take the file."""
    with prepared(site) as command:
        subprocess.run([*command, "-t"], check=True, timeout=60)
