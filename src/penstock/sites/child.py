"""What the supervisor of one of several sites has from its parent, and what it tells it.

The parent hands down where requests come from and the control socket, and holds them open when this process ends. It
wants to know when the site serves, why it cannot, and when nobody asks for it.
"""

import json
import os
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.config import Config
from penstock.processes import Channel
from penstock.sockets import Listener

if TYPE_CHECKING:
    from penstock._native import EngineOptions, SiteRule
    from penstock.supervisor.process import Supervisor

LOOKS = 10  # within idle_stop; so a site rests at most a tenth of that time too late


ENDS = ("channel", "inbox", "control")  # the fields of Legacy that are sockets


class Legacy(NamedTuple):
    """What a parent hands down to a site's supervisor; descriptors keep their numbers."""

    site: str
    number: int  # in `routes`
    arguments: Mapping[str, Any]
    start: str
    listeners: list[tuple[str, str, str]]  # kind, host and port of what the front listens on
    routes: "list[SiteRule]"
    channel: socket.socket
    inbox: socket.socket
    control: socket.socket | None

    @property
    def fds(self) -> list[int]:
        """The descriptors to pass on."""
        return [end.fileno() for end in (self.channel, self.inbox, self.control) if end]

    def dump(self) -> str:
        """As text, for the variable."""
        ends = (self.channel, self.inbox, self.control)
        told = {**self._asdict(), **dict.fromkeys(ENDS, -1)}
        return json.dumps(told | {name: end.fileno() for name, end in zip(ENDS, ends, strict=True) if end})

    @classmethod
    def load(cls, text: str) -> "Legacy":
        """What dump() has written in the parent."""
        told = json.loads(text)
        ends = {name: adopt(told[name]) for name in ENDS if told[name] >= 0}
        return cls(**{**told, "control": None, **ends})


def adopt(fd: int) -> socket.socket:
    """A socket that was handed down, kept from those that are started from here."""
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)


class Parent:
    """The parent, seen from the supervisor of a site."""

    def __init__(self, legacy: Legacy) -> None:
        self.legacy = legacy
        self.routes = legacy.routes
        self.channel = Channel(legacy.channel)
        self.counted = (0, 0)
        self.changed_at = 0.0

    def attach(self, supervisor: "Supervisor") -> None:
        """Ends with the parent, and begins to look whether somebody asks for the site."""

        def hear(_: int) -> None:
            message = self.channel.receive()
            if message:
                self.routes = message["routes"]  # for the next generation
                return
            supervisor.unwatch(self.channel.end)
            supervisor.stop()

        supervisor.watch(self.channel.end, hear)
        if supervisor.config.on_demand and supervisor.config.idle_stop:
            self.look(supervisor)

    @property
    def listeners(self) -> list[Listener]:
        """What the front listens on, by name: the sockets themselves are not for a site."""
        closed = socket.socket()
        closed.close()
        return [Listener(closed, *names, path="", is_ours=False) for names in self.legacy.listeners]

    def put_behind_front(self, options: "EngineOptions", config: Config) -> None:
        """Adds to what an engine is told what it has to know of the front and of the other sites."""
        options["front_fd"] = self.legacy.inbox.fileno()
        options["routes"] = self.routes
        options["own_site"] = self.legacy.number
        options["script_name"] = config.path.rstrip("/")

    def tell_settled(self, error: dict[str, str] | None) -> None:
        """The site serves, or its first generation cannot."""
        self.channel.send({"event": "failed", "error": error} if error else {"event": "ready"})

    def look(self, supervisor: "Supervisor") -> None:
        """Tells the parent when nothing has happened for idle_stop; again and again."""
        now = time.monotonic()
        counted, is_busy = activity(supervisor.snapshot())
        if counted != self.counted or is_busy or not self.changed_at:
            self.counted, self.changed_at = counted, now
        elif now - self.changed_at >= supervisor.config.idle_stop:
            self.channel.send({"event": "idle"})
        supervisor.call_at(now + supervisor.config.idle_stop / LOOKS, lambda: self.look(supervisor))


def activity(snapshot: Mapping[str, Any]) -> tuple[tuple[int, int], bool]:
    """What the workers have had and sent so far, and whether one of them is at work."""
    readings = [reading for worker in snapshot["workers"] if (reading := worker["scoreboard"])]
    every = [*readings, *([snapshot["departed"]] if snapshot["departed"] else [])]
    counted = sum(reading["requests"] for reading in every), sum(reading["bytes_out"] for reading in every)
    return counted, any(reading["threads_busy"] or reading["queue_length"] for reading in readings)
