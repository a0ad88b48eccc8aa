"""Another server as a process: ready when its log says so, ended by a signal, its end checked. Never sleeps."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from written_log import PATIENCE, WrittenLog

SCRIPTS = Path(sys.executable).parent


@contextmanager
def running(
    command: Sequence[str | Path],
    directory: Path,
    ready: str,
    environment: Mapping[str, str] | None = None,
    ends_with: Collection[int] = (0,),
) -> Iterator[re.Match[str]]:
    """Runs `command`; yields the match of `ready` in its log, which is also what it writes to standard output.

    Prints the log, which pytest shows when the test fails. AssertionError when it ends before it is ready, or with
    a status that is none of `ends_with` on SIGTERM.
    """
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    log = WrittenLog(process.stdout)
    try:
        yield log.wait_for(ready)
    finally:
        process.terminate()
        try:
            status = process.wait(PATIENCE)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            log.wait_for_end()
            print(log.text())
    assert status in ends_with, f"{command[0]} ended with {status}: its log is below"


def free_port() -> int:
    """A port for a server that cannot choose one by itself and say which."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def neighbouring_ports() -> int:
    """The first of two ports that follow each other; below those that the system gives to clients."""
    for port in random.sample(range(20_000, 30_000), 100):
        with ExitStack() as probes, suppress(OSError):
            for one in (port, port + 1):
                probes.enter_context(socket.create_server(("127.0.0.1", one)))
            return port
    raise AssertionError("no two ports are free")
