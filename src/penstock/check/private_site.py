"""The site as `penstock serve` would serve it, for nobody but the checks: on a unix socket in a directory of its own.

Judges nothing. What it writes goes to that directory, which is gone afterwards.
"""

import http.client
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote

from penstock.config import Config
from penstock.kinds import Flag
from penstock.settings import BY_NAME, LAYERED

# Seconds that are added to the limits of the site itself, so that its own words are heard first.
MARGIN = 10.0
LARGEST_PAGE = 2**20  # bytes of a page that are looked at
# What stays as it is in the path of a page: a browser encodes the rest, such as letters that are not ASCII.
KEPT = "!#$%&'()*+,/:;=?@[]~"
LOG_LINES = 12  # the last ones; a traceback's end is among them

# What the site must not do while it is looked at: be found, be watched, write to the real logs, work beside the web.
FOR_ITSELF: Mapping[str, str] = {
    "workers": "1",
    "control": "off",
    "error_log": "-",
    "log_level": "info",
    "log_format": "text",
    "log_config": "",
    "pid_file": "",
    "admin_bind": "",
    "statsd": "",
    "reload": "false",
    "proxy_protocol": "false",
    "processes": "",
    "schedule": "",
    "release": "",
}
# systemd's, which are meant for the real one.
INHERITED = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC")


class Serving(NamedTuple):
    """The `penstock serve` that the checks are about: its arguments by setting, environment and directory."""

    arguments: Mapping[str, Any]
    environment: Mapping[str, str]
    start: str


class Answer(NamedTuple):
    """What came back; status 0 and the reason as the body when nothing did."""

    status: int
    location: str
    body: str
    log: str  # what the site has written meanwhile

    @property
    def is_redirect(self) -> bool:
        """Whether it sends the visitor elsewhere."""
        return 300 <= self.status < 400 and bool(self.location)


class NotReady(Exception):  # noqa: N818 (it says what happened)
    """The site ended, or took too long; the text is the end of its log."""


class PrivateSite:
    """A running one."""

    def __init__(self, config: Config, socket_path: str, process: "subprocess.Popen[str]") -> None:
        self.config, self.socket_path, self.process = config, socket_path, process
        self.log: list[str] = []
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()  # "" at the end
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        """Takes the log's lines, so that the site never waits for them to be read."""
        assert self.process.stderr, "the site was started with a pipe for its log"
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            self.lines.put(line)
        self.lines.put("")

    def wait_until_ready(self) -> None:
        """Returns when a worker takes requests. NotReady otherwise."""
        try:
            while line := self.lines.get(timeout=self.config.boot_timeout + MARGIN):
                if re.search(r"worker \d+ \(pid \d+\) is ready", line):
                    return
        except queue.Empty:
            pass
        raise NotReady(self.end_of_log(0))

    def end_of_log(self, mark: int) -> str:
        """The last lines after a place in the log."""
        return "\n".join(self.log[mark:][-LOG_LINES:])

    def ask(self, path: str, host: str, method: str = "GET") -> Answer:
        """Asks for a path, as a proxy on this machine would that a browser has reached by https."""
        connection = UnixConnection(self.socket_path, (self.config.timeout or MARGIN) + MARGIN)
        fields = {
            "Host": host,
            "User-Agent": "penstock-check",
            "Accept": "text/html,*/*",
            "X-Forwarded-For": "127.0.0.1",
            "X-Forwarded-Proto": "https",
            "Connection": "close",
        }
        mark = len(self.log)
        try:
            connection.request(method, quote(path, safe=KEPT), headers=fields)
            response = connection.getresponse()
            body = response.read(LARGEST_PAGE).decode(errors="replace")
            return Answer(response.status, response.getheader("Location", ""), body, self.end_of_log(mark))
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, "", f"{type(error).__name__}: {error}".strip(": "), self.end_of_log(mark))
        finally:
            connection.close()

    def stop(self) -> None:
        """Ends it as systemd would, and by force when it does not leave."""
        self.process.terminate()
        try:
            self.process.wait(self.config.graceful_timeout + MARGIN)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.reader.join(MARGIN)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Connects to the path instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@contextmanager
def private_site(config: Config, serving: Serving) -> Iterator[PrivateSite]:
    """Starts the site, and ends it. NotReady when it does not come up."""
    with TemporaryDirectory(prefix="penstock-check-") as directory:
        path = os.path.join(directory, "site.sock")
        own = {**FOR_ITSELF, "bind": f"unix:{path}", "access_log": os.path.join(directory, "access.log")}
        if config.forwarded_allow:
            own |= {"forwarded_allow": "unix"}  # we stand for the proxy that is named
        process = subprocess.Popen(
            [sys.executable, "-m", "penstock", "serve", *command_line(serving.arguments, own)],
            cwd=serving.start,
            env=environment_for(serving.environment, own),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        site = PrivateSite(config, path, process)
        try:
            site.wait_until_ready()
            yield site
        finally:
            site.stop()


def environment_for(environment: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The environment of the real one, with our settings above it."""
    kept = {name: value for name, value in environment.items() if name not in INHERITED}
    return kept | {BY_NAME[name].variable: value for name, value in own.items()}


def command_line(arguments: Mapping[str, Any], own: Mapping[str, str]) -> list[str]:
    """The words that would give these arguments, without those that our own settings take the place of."""
    words = [f"--config={arguments['config']}"] if "config" in arguments else []
    for setting in LAYERED:
        if setting.name in own or setting.name == "app" or setting.name not in arguments:
            continue
        value = arguments[setting.name]
        if isinstance(setting.kind, Flag):
            words.append(setting.flag if value else f"--no-{setting.flag[2:]}")
        else:
            words += [f"{setting.flag}={item}" for item in (value if isinstance(value, list) else [value])]
    return [*words, *([arguments["app"]] if "app" in arguments else [])]
