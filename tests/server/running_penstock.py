"""`penstock serve` as a process for tests: its log is read line by line, so that a test never has to sleep."""

import http.client
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Seconds after which a line that does not come fails the test instead of hanging it.
PATIENCE = 60


class RunningPenstock:
    """One `penstock serve` in its own session, and the lines that it has written so far."""

    def __init__(self, directory, *arguments, inherits=()):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "penstock", "serve", *arguments],
            cwd=directory,
            # Modules are rewritten within the second that a .pyc cannot tell apart.
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=inherits,
        )
        self.written = []
        self.lines = queue.SimpleQueue()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.put(line)
        self.lines.put("")

    def wait_for(self, pattern):
        """Reads the log up to a line that matches; returns the match."""
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                pytest.fail(f"no line like {pattern!r}; so far:\n{''.join(self.written)}")
            self.written.append(line)
            if match := re.search(pattern, line):
                return match
            assert line, f"the server ended without a line like {pattern!r}:\n{''.join(self.written)}"

    def wait_for_worker(self, number):
        """Waits until a worker is ready; returns its pid."""
        return int(self.wait_for(rf"worker {number} \(pid (\d+)\) is ready")[1])

    def wait_until_left(self, *pids):
        """Waits until all these workers have left, in whatever order."""
        left = set()
        while left != set(pids):
            left.add(int(self.wait_for(r"\(pid (\d+)\) has left")[1]))

    def wait_for_end(self):
        """Reads everything to the end of the last process that holds standard error; returns the exit status."""
        while line := self.lines.get(timeout=PATIENCE):
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

    def begin(*arguments, inherits=()):
        server = RunningPenstock(directory, *arguments, inherits=inherits)
        servers.append(server)
        return server

    try:
        yield begin
    finally:
        for server in servers:
            if server.process.poll() is None:
                os.killpg(server.process.pid, signal.SIGKILL)
                server.process.wait(PATIENCE)
            server.reader.join(PATIENCE)
