"""Debian's HAProxy with a configuration of ours, as a process in the foreground."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from apache_server import PATH
from foreign_server import running


def program() -> str:
    """Where it is. Skips the test, with the reason, where there is none."""
    found = shutil.which("haproxy", path=PATH)
    if not found:
        pytest.skip("haproxy is not installed: `make system-packages` installs it")
    return found


@contextmanager
def start(file: Path) -> Iterator[None]:
    """Serves what the file says."""
    # Its master runs itself anew when the workers are there: a SIGTERM of just then ends it at once.
    ends_with = (0, -signal.SIGTERM)
    with running([program(), "-W", "-f", file], file.parent, "Loading success", ends_with=ends_with):
        yield


def check(file: Path) -> None:
    """CalledProcessError when HAProxy does not take the file."""
    subprocess.run([program(), "-c", "-f", file], check=True, timeout=60)
