"""The admin server of several sites: `?site=NAME` is about one of them, everything else about all. Waits for nobody.

What only a site's supervisor knows is asked for through its control socket; whoever does not answer soon is left out.
"""

import json
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from penstock.admin import metrics
from penstock.admin.http import PATHS, AdminServer, Answer, Loop, encode, read_head
from penstock.admin.status import describe
from penstock.sockets import Listener

PATIENCE = 2.0  # seconds that the supervisors of sites have to answer

Snapshots = dict[str, Any]


class SitesAdminServer(AdminServer):
    """Answers for the parent, in its loop."""

    def __init__(self, loop: Loop, listeners: list[Listener]) -> None:
        super().__init__(loop, listeners)
        self.asked: set[socket.socket] = set()  # the clients whose answer is on its way

    def respond(self, client: socket.socket, received: bytes) -> bytes | None:
        """The response, or None when it comes later: then the connection waits for it."""
        head = read_head(received)
        if head is None or client in self.asked:
            return None
        if isinstance(head, Answer):
            return encode(head)
        method, target = head
        path, _, query = target.partition("?")
        name = parse_qs(query).get("site", [""])[0]
        snapshot = self.loop.snapshot()
        if name:
            snapshot["sites"] = [site for site in snapshot["sites"] if site["name"] == name]
            if not snapshot["sites"]:
                return encode(Answer(404, f"there is no site {name!r}\n"))
        if path not in ("/metrics", "/status"):
            return encode(self.answer(path, lambda: about(path, snapshot, name)), has_body=method == "GET")

        def tell(snapshots: Snapshots) -> None:
            self.asked.discard(client)
            if client in self.connections:
                found = self.answer(path, lambda: gathered(path, snapshot, snapshots))
                self.connections[client].unsent = encode(found, has_body=method == "GET")
                self.serve(client)

        self.asked.add(client)
        gather(self.loop, snapshot["sites"], tell)
        return None


def about(path: str, snapshot: Mapping[str, Any], name: str) -> Answer:
    """What needs no supervisor's answer."""
    missing = [site for site in snapshot["sites"] if site["state"] != "up" and not site["on_demand"]]
    if path == "/ready" and missing and not snapshot["is_stopping"]:
        return Answer(503, "".join(f"the site {site['name']} is {site['state']}\n" for site in missing))
    if not name:
        return PATHS[path](snapshot)
    (site,) = snapshot["sites"]
    return PATHS[path]({**snapshot, "is_ready": not missing, "generation": int(site["state"] == "up")})


def gathered(path: str, snapshot: Mapping[str, Any], snapshots: Snapshots) -> Answer:
    """The metrics or the status, with what the supervisors have said."""
    if path == "/metrics":
        facts = {name: metrics.observe(one) for name, one in snapshots.items()}
        return Answer(200, metrics.exposition_of_sites(snapshot, facts), metrics.CONTENT_TYPE)
    sites = [
        {**site, "supervisor": describe(snapshots[site["name"]]) if site["name"] in snapshots else None}
        for site in snapshot["sites"]
    ]
    return Answer(200, json.dumps({**snapshot, "sites": sites}) + "\n", "application/json")


def gather(loop: Loop, sites: list[Mapping[str, Any]], on_done: Callable[[Snapshots], None]) -> None:
    """Asks the supervisors of sites for their snapshots; calls back once, with those that came in time."""
    Gathering(loop, on_done).ask({site["name"]: site["control"] for site in sites if site["pid"] and site["control"]})


class Gathering:
    """Questions that are on their way."""

    def __init__(self, loop: Loop, on_done: Callable[[Snapshots], None]) -> None:
        self.loop, self.on_done = loop, on_done
        self.received: dict[str, bytes] = {}
        self.ends: dict[str, socket.socket] = {}
        self.snapshots: Snapshots = {}
        self.is_done = False

    def ask(self, controls: Mapping[str, str]) -> None:
        """Asks each of them."""
        for name, path in controls.items():
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            end.setblocking(False)
            try:
                end.connect(path)
                end.send(b'{"command": "status"}\n')
            except OSError:
                end.close()
                continue
            self.ends[name], self.received[name] = end, b""
            self.loop.watch(end, partial(self.hear, name))
        self.loop.call_at(time.monotonic() + PATIENCE, self.finish)
        self.finish_if_all()

    def hear(self, name: str, _: int) -> None:
        """Takes what one has said."""
        try:
            data = self.ends[name].recv(1024 * 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.received[name] += data
        if data and not self.received[name].endswith(b"\n"):
            return
        if data:
            self.snapshots[name] = json.loads(self.received[name])
        self.hang_up(name)
        self.finish_if_all()

    def hang_up(self, name: str) -> None:
        """Asks one no longer."""
        end = self.ends.pop(name)
        self.loop.unwatch(end)
        end.close()

    def finish_if_all(self) -> None:
        """Calls back when nobody is left to answer."""
        if not self.ends:
            self.finish()

    def finish(self) -> None:
        """Calls back, unless that was done."""
        if self.is_done:
            return
        self.is_done = True
        for name in list(self.ends):
            self.hang_up(name)
        self.on_done(self.snapshots)
