"""A new project for tests, in a place that every server may read and write, whichever user it becomes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from apache_server import USER
from foreign_server import SCRIPTS


@contextmanager
def new_project(*options: str) -> Iterator[Path]:
    """A project fresh from `penstock startproject`, named mysite, in a place that is open to other users."""
    with TemporaryDirectory(prefix="interop-") as place:
        os.chmod(place, 0o755)
        subprocess.run(
            [SCRIPTS / "penstock", "startproject", "mysite", *options],
            cwd=place,
            check=True,
            capture_output=True,
            timeout=60,
        )
        yield Path(place, "mysite")


def give_away(project: Path) -> None:
    """Lets the user as whom Apache serves, when root starts it, own the project: it writes the database."""
    if not os.geteuid():
        for path in (project, *project.rglob("*")):
            shutil.chown(path, USER, USER)


def manage(project: Path, *arguments: str, **environment: str) -> None:
    """Runs its manage.py. CalledProcessError when that fails."""
    subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=project,
        env=os.environ | environment,
        check=True,
        capture_output=True,
        timeout=120,
    )
