"""A front with its sites for a test, which plays the supervisor: it has both ends of each site's pair, starts and ends
engines as it likes, and reads what the front says. Refuses a front that did not end cleanly.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

from raw_client import PATIENCE, Client
from running_engine import running

from penstock.processes import Channel

HERE = Path(__file__).parent
SHOP = {"hosts": ["shop.test", "*.shop.test"], "path": "/", "site": 0}
BLOG = {"hosts": ["blog.test"], "path": "/", "site": 1}
BLOG_OF_SHOP = {"hosts": ["shop.test"], "path": "/blog", "site": 1}
ROUTES = [SHOP, BLOG, BLOG_OF_SHOP]


class RunningFront:
    """One front on one TCP socket; its sites are `shop` (0) and `blog` (1) of neighbours.py unless told otherwise."""

    def __init__(
        self, stack: ExitStack, routes: list[dict], sites: int, settings: dict, options: dict, *, files: int
    ) -> None:
        self.stack, self.routes = stack, routes
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        self.pairs = [self.pair() for _ in range(sites)]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(PATIENCE)
        self.channel = Channel(stack.enter_context(ours))
        ends = [front.fileno() for front, _ in self.pairs]
        plan = {
            "settings": settings,
            "options": options,
            "listeners": [self.listener.fileno()],
            "sites": ends,
            "routes": routes,
            "channel": theirs.fileno(),
            "files": files,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-s", str(HERE / "front_process.py"), json.dumps(plan)],
            pass_fds=(self.listener.fileno(), theirs.fileno(), *ends),
        )
        stack.callback(self.end)
        theirs.close()
        assert self.says()["event"] == "ready"

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """The front's end and a site's."""
        front, site = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return self.stack.enter_context(front), self.stack.enter_context(site)

    def says(self) -> dict:
        """The front's next message. TimeoutError when none comes."""
        message = self.channel.receive()
        assert message, "the front has gone"
        return message

    def tell(self, command: str, **details) -> None:
        self.channel.send({"command": command, **details})

    def set_state(self, site: int, state: str, reason: str = "") -> None:
        """Comes back when the front has done so: it takes its commands in their order."""
        self.tell("state", site=site, state=state, reason=reason)
        self.stats()

    def stats(self) -> dict[str, int]:
        self.tell("stats")
        return self.says()["stats"]

    @contextmanager
    def engine(self, app: str, site: int, **options):
        """A worker of a site."""
        end = self.pairs[site][1].fileno()
        host, port = self.listener.getsockname()
        names = [{"fd": -1, "kind": "tcp", "server_name": host, "server_port": str(port)}]
        behind = {"front_fd": end, "routes": self.routes, "own_site": site, "listeners": names}
        with running(app, bind=[], pass_fds=(end,), **behind | options) as engine:
            yield engine

    def connect(self) -> Client:
        return Client(self.listener.getsockname())

    def end(self) -> None:
        """Stops it gracefully, as a supervisor does. AssertionError when it does not end cleanly."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(PATIENCE) == 0, "the front did not end cleanly"
        finally:
            self.process.kill()
            self.process.wait(PATIENCE)


@contextmanager
def front_with(routes=ROUTES, sites=2, options=None, files=0, **settings):
    """Runs a front without any worker; `options` are the engine's, for what no setting allows.

    It may have so many `files` open, and root's rights, which no limit binds, are given up; 0 leaves both alone.
    """
    with ExitStack() as stack:
        yield RunningFront(stack, routes, sites, settings, options or {}, files=files)


def request(host: str, path: str = "/", *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
    """A request's bytes."""
    length = [f"Content-Length: {len(body)}"] if body else []
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields, *length]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def site_of(response) -> str:
    assert response.status == 200, response
    return json.loads(response.body)["site"]


def descriptors_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
