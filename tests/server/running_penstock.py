"""`penstock serve` as a process for tests: its log is read line by line, so that a test never has to sleep."""

import http.client
import os
import queue
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from written_log import PATIENCE, WrittenLog

import penstock

# No error that is the application's shows a line of this directory. (Its name alone may be that of the checkout too.)
OWN_CODE = os.path.dirname(penstock.__file__)


class RunningPenstock:
    """One `penstock serve` in its own session, and the lines that it has written so far."""

    def __init__(self, directory, runtime, *arguments, inherits=(), variables=None, wrapper=()):
        """`wrapper` is the command that executes the server, with its arguments."""
        self.directory = directory
        # Modules are rewritten within the second that a .pyc cannot tell apart.
        self.environment = os.environ | {
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_RUNTIME_DIR": runtime,
            "PWD": str(directory),  # as a shell would: the directory may be a link
            **(variables or {}),
        }
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "penstock", "serve", *arguments],
            cwd=directory,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=inherits,
        )
        self.written = []
        self.output = WrittenLog(self.process.stderr)

    def wait_for(self, pattern):
        """Reads the log up to a line that matches; returns the match."""
        while True:
            try:
                line = self.output.next_line()
            except queue.Empty:
                pytest.fail(f"no line like {pattern!r}; so far:\n{''.join(self.written)}")
            self.written.append(line)
            if match := re.search(pattern, line):
                return match
            assert line, f"the server ended without a line like {pattern!r}:\n{''.join(self.written)}"

    def wait_for_worker(self, number):
        """Waits until a worker is ready; returns its pid."""
        return int(self.wait_for(rf"worker {number} \(pid (\d+)\) is ready")[1])

    def wait_for_workers(self, *numbers):
        """Waits until all these workers are ready, in whatever order; returns their pids in that of the numbers."""
        pids = {}
        while not pids.keys() >= set(numbers):
            ready = self.wait_for(r"worker (\d+) \(pid (\d+)\) is ready")
            pids[int(ready[1])] = int(ready[2])
        return [pids[number] for number in numbers]

    def wait_until_left(self, *pids):
        """Waits until all these workers have left, in whatever order."""
        left = set()
        while left != set(pids):
            left.add(int(self.wait_for(r"\(pid (\d+)\) has left")[1]))

    def wait_for_end(self):
        """Reads everything to the end of the last process that holds standard error; returns the exit status."""
        while line := self.output.next_line():
            self.written.append(line)
        return self.process.wait(PATIENCE)

    @property
    def log(self):
        return "".join(self.written)

    def send(self, name):
        self.process.send_signal(signal.Signals["SIG" + name])

    def get(self, path="/"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path)
        response = connection.getresponse()
        try:
            return response.read().decode()
        finally:
            connection.close()

    def command(self, *words):
        """Runs `penstock WORDS` in the same directory; returns what it printed, its errors, and its exit status."""
        done = subprocess.run(
            [sys.executable, "-m", "penstock", *words],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout, done.stderr, done.returncode

    def find_port(self):
        self.port = int(self.wait_for(r"address +http://127\.0\.0\.1:(\d+)")[1])
        return self

    def mold(self):
        """The pid of the process that loads: the supervisor's child that was never a worker."""
        workers = set(re.findall(r"\(pid (\d+)\) is ready", self.log))
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        [mold] = set(children) - workers
        return int(mold)


@contextmanager
def servers_in(directory: Path) -> Iterator[Callable[..., RunningPenstock]]:
    """Starts servers that work in a directory; none of their processes outlives the block."""
    servers = []

    # Unix sockets have short names; those of pytest's directories are long.
    with TemporaryDirectory() as runtime:

        def begin(*arguments, directory=directory, **options):
            server = RunningPenstock(directory, runtime, *arguments, **options)
            servers.append(server)
            return server

        try:
            yield begin
        finally:
            end(servers)


def end(servers: list[RunningPenstock]) -> None:
    """Kills who is left; a supervisor that another one has replaced is gone, and its session is not."""
    for server in servers:
        with suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait(PATIENCE)
        server.output.wait_for_end()
