"""The front, from inside: one process before many sites. It runs no code of theirs, and decides nothing about them."""

import os
import signal
import socket
from typing import TYPE_CHECKING

from penstock import log
from penstock._native import Front
from penstock.errors import PenstockError
from penstock.privileges import Identity, become
from penstock.processes import LARGEST_PACKET, Channel, Message
from penstock.supervisor.signals import do_nothing
from penstock.worker import engine_options, listen_to_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock._native import EngineOptions, SiteRule
    from penstock.config import Config
    from penstock.sockets import Listener


class FrontProcess:
    """The role of the front's process.

    `sites` are the front's ends of the sites' pairs, by number. On `channel` it says `{"event": "ready"}` and
    `{"event": "wanted", "site": 3}`, and hears, each with the key "command":

    * `state`: `site`, `state` and `reason`, see Front.set_state;
    * `routes`: `routes`, the whole new table;
    * `add`: a site more; its end comes with the message (SCM_RIGHTS). Answered with `{"event": "added", "site": 4}`;
    * `stats`: answered with `{"event": "stats", "stats": {...}}`.

    It leaves gracefully when the channel's other end has gone.
    """

    def __init__(
        self,
        *,
        config: "Config",
        listeners: "list[Listener]",
        sites: "Sequence[socket.socket]",
        routes: "Sequence[SiteRule]",
        channel: Channel,
        identity: Identity | None = None,
    ) -> None:
        self.config, self.listeners, self.sites, self.routes = config, listeners, sites, routes
        self.channel, self.identity = channel, identity
        self.front: Front  # by run

    def run(self) -> int:
        """Passes connections on until TERM (gracefully), QUIT (at once) or the supervisor's end: the exit status."""
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, do_nothing)  # what a terminal sends to everybody is for the supervisor
        try:
            options = self.options()
            if self.identity:
                become(self.identity)
            sites = [site.fileno() for site in self.sites]
            self.front = Front(options, sites, self.tell_wanted, self.obey, log.journal.write)
        except (PenstockError, ValueError, OSError) as error:
            told = error if isinstance(error, PenstockError) else PenstockError(f"the front cannot start: {error}")
            self.channel.send({"event": "cannot start"} | told.to_message())
            return told.exit_code
        wakeup = listen_to_signals(self.front, self.config.graceful_timeout)
        self.channel.send({"event": "ready", "pid": os.getpid()})
        self.front.run(wakeup, self.channel.end.fileno())
        return 0

    def options(self) -> "EngineOptions":
        """What the front is told: what an engine is, without the parts of it that are an application's."""
        return engine_options(self.config, self.listeners, []) | {
            "threads": 1,
            # How large a body may be is for its site to say. The front reads none, also where it answers by itself.
            "max_body": 2**64 - 1,
            "stream_body": True,
            "protected": {},
            "guarded": [],
            "routes": self.routes,
        }

    def tell_wanted(self, site: int) -> None:
        """Somebody asks for a site that waits to be started."""
        self.channel.send({"event": "wanted", "site": site})

    def obey(self) -> bool:
        """Does what the supervisor's next message says. False when the supervisor has gone."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self.channel.end, LARGEST_PACKET, 1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            data, descriptors = b"", []
        message = Channel.parse(data)
        if message is None:
            self.front.stop(self.config.graceful_timeout)
            return False
        self.do(message, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def do(self, message: Message, descriptors: list[int]) -> None:
        """One command; see above."""
        match message["command"]:
            case "state":
                self.front.set_state(message["site"], message["state"], message.get("reason", ""))
            case "routes":
                self.front.set_routes(message["routes"])
            case "add":
                (descriptor,) = descriptors
                self.channel.send({"event": "added", "site": self.front.add_site(descriptor)})
            case "stats":
                self.channel.send({"event": "stats", "stats": self.front.stats()})
            case other:
                raise AssertionError(f"no supervisor of ours says {other!r}")
