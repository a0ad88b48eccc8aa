"""The real Gunicorn. It serves no static files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foreign_server import SCRIPTS, running


@contextmanager
def start(project: Path, application: str, *arguments: str, **environment: str) -> Iterator[str]:
    """Serves `application` ("mysite.wsgi") of the project; yields the base URL."""
    command = [SCRIPTS / "gunicorn", application, "--bind", "127.0.0.1:0", "--no-control-socket", *arguments]
    with running(command, project, r"Listening at: (http://127\.0\.0\.1:\d+)", environment) as ready:
        yield ready[1]
