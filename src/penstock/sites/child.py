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

from penstock.processes import Channel
from penstock.sites.routing import Rule
from penstock.sockets import Listener
from penstock.supervisor.upgrade import pack, unpack

if TYPE_CHECKING:
    from penstock.supervisor.process import Supervisor

LOOKS = 10  # within idle_stop; so a site rests at most a tenth of that time too late


class Legacy(NamedTuple):
    """What a parent hands down to a site's supervisor; descriptors keep their numbers."""

    site: str
    arguments: Mapping[str, Any]
    start: str
    listeners: list[Listener]
    rules: list[Rule]
    channel: socket.socket
    front: socket.socket  # takes connections whose next request is another site's
    control: socket.socket | None

    @property
    def fds(self) -> list[int]:
        """The descriptors to pass on."""
        ends = [self.channel, self.front, *(listener.socket for listener in self.listeners)]
        return [end.fileno() for end in (*ends, *([self.control] if self.control else []))]

    def dump(self) -> str:
        """As text, for the variable."""
        return json.dumps(
            {
                "site": self.site,
                "arguments": self.arguments,
                "start": self.start,
                "listeners": [pack(listener) for listener in self.listeners],
                "rules": self.rules,
                "channel": self.channel.fileno(),
                "front": self.front.fileno(),
                "control": self.control.fileno() if self.control else -1,
            }
        )

    @classmethod
    def load(cls, text: str) -> "Legacy":
        """What dump() has written in the parent."""
        told = json.loads(text)
        channel, front, control = (adopt(told[name]) for name in ("channel", "front", "control"))
        assert channel, "there is always one"
        assert front, "there is always one"
        listeners = [unpack(*packed) for packed in told["listeners"]]
        rules = [Rule(*rule) for rule in told["rules"]]
        return cls(told["site"], told["arguments"], told["start"], listeners, rules, channel, front, control)


def adopt(fd: int) -> socket.socket | None:
    """A socket that was handed down, kept from those that are started from here; None for -1."""
    if fd < 0:
        return None
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)


class Parent:
    """The parent, seen from the supervisor of a site."""

    def __init__(self, legacy: Legacy) -> None:
        self.legacy = legacy
        self.rules = legacy.rules
        self.channel = Channel(legacy.channel)
        self.counted = (0, 0)
        self.changed_at = 0.0

    def attach(self, supervisor: "Supervisor") -> None:
        """Ends with the parent, and begins to look whether somebody asks for the site."""

        def hear(_: int) -> None:
            message = self.channel.receive()
            if message:
                self.rules = [Rule(*rule) for rule in message["rules"]]
                return
            supervisor.unwatch(self.channel.end)
            supervisor.stop()

        supervisor.watch(self.channel.end, hear)
        if supervisor.config.on_demand and supervisor.config.idle_stop:
            self.look(supervisor)

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
