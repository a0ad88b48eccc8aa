"""A PostgreSQL of the tests' own, on a unix socket, that says who connects and who leaves."""

import glob
import os
import pwd
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from running_site import PATIENCE


class Database:
    """One running server; `lines` are those of its log that nobody has waited for."""

    def __init__(self, directory: Path) -> None:
        self.socket = str(directory)
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def count(self) -> int:
        """The connections of the site, as the database sees them."""
        with psycopg.connect(host=self.socket, user="postgres", dbname="postgres") as own:
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'site'"
            return own.execute(query).fetchone()[0]

    def wait_until_left(self, count: int) -> None:
        """Reads the log until so many connections of the site have ended. They must have said goodbye."""
        while count:
            line = self.lines.get(timeout=PATIENCE)
            assert line, "PostgreSQL has ended"
            assert not re.search("unexpected EOF|could not receive|terminating", line), line
            count -= line.startswith("site|") and "disconnection" in line


@contextmanager
def database() -> Iterator[Database]:
    """Runs Debian's PostgreSQL with a new cluster in a directory that goes when it ends. Skips where there is none."""
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not programs:
        pytest.skip("PostgreSQL is not installed: `make system-packages` installs it")
    # It refuses to run as root. Names of unix sockets are short, so not in pytest's directory.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="penstock-postgresql-") as name:
        directory = Path(name)
        if user:
            os.chown(directory, pwd.getpwnam(user).pw_uid, -1)
        initialise = [f"{programs[-1]}/initdb", "-D", directory / "data", "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(initialise, user=user, cwd=directory, check=True, capture_output=True, timeout=PATIENCE)
        settings = {
            "unix_socket_directories": directory,
            "listen_addresses": "",
            "log_disconnections": "on",
            "log_line_prefix": "%a|",
            "fsync": "off",
        }
        process = subprocess.Popen(
            [
                f"{programs[-1]}/postgres",
                *("-D", directory / "data"),
                *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
            ],
            user=user,
            cwd=directory,
            env={**os.environ, "LC_ALL": "C"},
            stderr=subprocess.PIPE,
            text=True,
        )
        running = Database(directory)
        reader = threading.Thread(target=read, args=(process, running.lines))
        reader.start()
        try:
            while "ready to accept connections" not in (line := running.lines.get(timeout=PATIENCE)):
                assert line, "PostgreSQL did not start"
            yield running
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
            reader.join(PATIENCE)
            shutil.rmtree(directory / "data", ignore_errors=True)


def read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    """Hands the log on; "" at the end."""
    for line in process.stderr or ():
        lines.put(line)
    lines.put("")
