"""A PostgreSQL of the tests' own, on a unix socket, that says who connects and who leaves."""

import glob
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from written_log import PATIENCE, WrittenLog


class Database:
    """One running server, and its log."""

    def __init__(self, directory: Path, log: WrittenLog) -> None:
        self.socket = str(directory)
        self.log = log

    def count(self) -> int:
        """The connections of the site, as the database sees them."""
        with psycopg.connect(host=self.socket, user="postgres", dbname="postgres") as own:
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'site'"
            return own.execute(query).fetchone()[0]

    def wait_until_left(self, count: int) -> None:
        """Reads the log until so many connections of the site have ended. They must have said goodbye."""
        while count:
            line = self.log.next_line()
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
        log = WrittenLog(process.stderr)
        try:
            log.wait_for("ready to accept connections")
            yield Database(directory, log)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
            log.wait_for_end()
            shutil.rmtree(directory / "data", ignore_errors=True)
