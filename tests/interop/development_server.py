"""Django's own `manage.py runserver`."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foreign_server import running


@contextmanager
def start(project: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """Serves the project; yields the base URL."""
    command = [sys.executable, "manage.py", "runserver", "127.0.0.1:0", "--noreload", *arguments]
    ready = r"development server at (http://127\.0\.0\.1:\d+)"
    with running(command, project, ready, environment, ends_with=[-signal.SIGTERM]) as found:
        yield found[1]
