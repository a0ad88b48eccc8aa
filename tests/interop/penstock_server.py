"""`penstock serve`, beside the other servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foreign_server import SCRIPTS, running


@contextmanager
def start(project: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """Serves the project; yields the base URL."""
    command = [SCRIPTS / "penstock", "serve", "--bind", "127.0.0.1:0", *arguments]
    with running(command, project, r"address +(http://127\.0\.0\.1:\d+)", environment) as ready:
        yield ready[1]
