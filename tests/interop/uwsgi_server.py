"""The real uWSGI, with its own HTTP socket and its own file server for /static."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foreign_server import SCRIPTS, running


@contextmanager
def start(
    project: Path, application: str, *arguments: str, static: Path | None = None, **environment: str
) -> Iterator[str]:
    """Serves `application` ("mysite.wsgi") of the project, and the directory `static`; yields the base URL."""
    command = [
        *(SCRIPTS / "uwsgi", "--http-socket=127.0.0.1:0", f"--module={application}", f"--virtualenv={sys.prefix}"),
        *("--master", "--need-app", "--die-on-term", "--enable-threads", "--threads=4", f"--chdir={project}"),
        *([f"--static-map=/static={static}"] if static else []),
        *arguments,
    ]
    with running(command, project, r"bound to TCP address (127\.0\.0\.1:\d+)", environment) as ready:
        yield f"http://{ready[1]}"
