"""An engine that a test talks to, and what its application tells the test. Refuses an engine that did not end cleanly,
or that wrote anything into its log which the test has not asked for.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

from raw_client import PATIENCE, Client

TESTS = Path(__file__).parents[1]
OPTIONS = {
    "threads": 4,
    "multiprocess": False,
    "max_connections": 1000,
    "max_request_line": 8190,
    "max_head": 32768,
    "max_fields": 100,
    "max_body": 1 << 30,
    "body_memory": 1 << 20,
    "response_memory": 1 << 20,
    "stream_body": False,
    "head_timeout": 15.0,
    "body_timeout": 30.0,
    "min_body_rate": 0,
    "keep_alive_timeout": 75.0,
    "write_timeout": 60.0,
    "queue_size": 1000,
    "queue_timeout": 30.0,
    "forwarded_allow": [],
    "proxy_protocol": False,
    "static": [],
    "protected": {},
    "access_log": "",
    "access_log_format": "combined",
    "error_log_fd": 2,
    "scoreboard_fd": -1,
    "scoreboard_slot": 0,
}


class RunningEngine:
    """One engine: its addresses, its log, its end."""

    def __init__(self, process: subprocess.Popen, channel: int, log: Path, temp_dir: Path, tester: "Tester") -> None:
        self.process = process
        self.channel = os.fdopen(channel)
        self.log = log
        self.log_read = 0
        self.temp_dir = temp_dir
        self.tester = tester
        self.addresses = self.told()["addresses"]

    def told(self) -> dict:
        """What the process says next on its channel. AssertionError when it says nothing for too long, or has gone."""
        assert select.select([self.channel], [], [], PATIENCE)[0], "the engine's process says nothing"
        line = self.channel.readline()
        assert line, f"the engine's process has gone: {self.log.read_text()}"
        return json.loads(line)

    def connect(self, listener: int = 0) -> Client:
        """A new connection to one of the addresses."""
        address = self.addresses[listener]
        return Client(address if isinstance(address, str) else tuple(address))

    def get(self, target: str, *fields: str, method: str = "GET", body: bytes = b""):
        """One request on a connection of its own, and its response."""
        with self.connect() as client:
            return client.ask(target, *fields, method=method, body=body)

    def logged(self) -> str:
        """What was written to the log since the last time."""
        text = self.log.read_text()
        fresh, self.log_read = text[self.log_read :], len(text)
        return fresh

    def begin_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def begin_stop_and_see(self) -> None:
        """Asks for a stop, and comes back when it has begun: an idle connection is closed then."""
        with self.connect() as idle:
            self.begin_stop()
            assert idle.rest() == b""

    def wait(self) -> dict[str, int]:
        """Waits for the end: the counters. The status is in `process.returncode`."""
        stats = self.told()["stats"]
        self.process.wait(PATIENCE)
        return stats

    def wait_for_clean_end(self) -> dict[str, int]:
        """Waits for the end, and checks that nothing was abandoned: the counters."""
        stats = self.wait()
        assert self.process.returncode == 0, f"requests were abandoned: {self.process.returncode}"
        return stats

    def stop(self) -> dict[str, int]:
        """Stops it, and checks that it ended cleanly."""
        self.begin_stop()
        return self.wait_for_clean_end()

    def open_files(self) -> list[str]:
        """What the process's descriptors stand for."""
        names = []
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            # One that was closed in between is no open file.
            with suppress(FileNotFoundError):
                names.append(str(link.readlink()))
        return names


@contextmanager
def running(app: str, *, bind=(("127.0.0.1", 0),), graceful=10.0, limits=None, pass_fds=(), **options):
    """Runs an engine with an application of tests/apps; see engine_process.py for how `app` names it."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as directory, Tester(Path(directory) / "tester") as tester:
        temp_dir = Path(directory) / "temporary"
        temp_dir.mkdir()
        log = Path(directory) / "log"
        reading, writing = os.pipe()
        plan = {
            "app": app,
            "apps": str(TESTS / "apps"),
            "bind": list(bind),
            "channel": writing,
            "graceful": graceful,
            "limits": limits or {},
            "options": OPTIONS | {"temp_dir": str(temp_dir)} | options,
        }
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-s", str(TESTS / "server/engine_process.py"), json.dumps(plan)],
                stderr=stderr,
                pass_fds=(writing, *pass_fds),
                env=os.environ | {"TESTER": tester.path},
            )
        os.close(writing)
        try:
            engine = RunningEngine(process, reading, log, temp_dir, tester)
            with engine.channel:
                yield engine
                if process.poll() is None:
                    engine.stop()
                assert engine.logged() == ""
        finally:
            process.kill()
            process.wait(PATIENCE)


class Tester:
    """Where applications report (tests/apps/tester.py), and wait to be released."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.bind(self.path)
        self.socket.listen(256)
        self.heard: list[Held] = []

    def __enter__(self) -> "Tester":
        return self

    def __exit__(self, *_: object) -> None:
        self.release_all()
        self.socket.close()

    def hears(self, word: str) -> "Held":
        """The next report, which must be this one. TimeoutError when none comes."""
        held = self.next()
        assert held.word == word
        return held

    def next(self) -> "Held":
        """The next report, whatever it is. TimeoutError when none comes."""
        connection, _ = self.socket.accept()
        connection.settimeout(PATIENCE)
        self.heard.append(Held(connection))
        return self.heard[-1]

    def unheard(self) -> list[str]:
        """What was reported and nobody has asked for; those who wait go on waiting."""
        words = []
        while select.select([self.socket], [], [], 0)[0]:
            words.append(self.next().word)
        return words

    def release_all(self) -> list[str]:
        """Lets everybody go who still waits. Returns what nobody had asked for."""
        unheard = self.unheard()
        for held in self.heard:
            held.connection.close()
        self.heard = []
        return unheard


class Held:
    """A report; whoever made it may be waiting for release()."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.word = ""
        while not self.word.endswith("\n"):
            self.word += connection.recv(1024).decode()
        self.word = self.word.removesuffix("\n")

    def release(self) -> None:
        self.connection.sendall(b".")
        self.connection.close()
