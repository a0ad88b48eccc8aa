"""The front, from inside: one process before many sites. It runs no code of theirs, and decides nothing about them."""

import contextlib
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

    from penstock._native import EngineOptions, Scoreboard, SiteRule
    from penstock.config import Config
    from penstock.sockets import Listener

STANDARD_OUTPUT = 1


class FrontProcess:
    """The role of the front's process.

    `sites` are the front's ends of the sites' pairs, by number, each with the slot of `scoreboard` in which its
    connections are counted; slot 0 is the front's own. On `channel` it says `{"event": "ready"}`, and hears, each with
    the key "command":

    * `state`: `site`, `state` and `reason`, see Front.set_state;
    * `routes`: `routes`, the whole new table;
    * `add`: a site more, with its `slot`; its end comes with the message (SCM_RIGHTS). Answered with
      `{"event": "added", "site": 4}`;
    * `replace`: `fd`, a log file that was opened anew, and comes with the message;
    * `stats`: answered with `{"event": "stats", "stats": {...}}`.

    It leaves gracefully when the channel's other end has gone.
    """

    def __init__(
        self,
        *,
        config: "Config",
        listeners: "list[Listener]",
        sites: "Sequence[tuple[socket.socket, int | None]]",
        routes: "Sequence[SiteRule]",
        channel: Channel,
        scoreboard: "Scoreboard | None" = None,
        identity: Identity | None = None,
        access_log: int | None = None,
    ) -> None:
        """`access_log` is its file, when only somebody else may open that."""
        self.config, self.listeners, self.sites, self.routes = config, listeners, sites, routes
        self.channel, self.scoreboard, self.identity, self.access_log = channel, scoreboard, identity, access_log
        self.front: Front  # by run

    def run(self) -> int:
        """Passes connections on until TERM (gracefully), QUIT (at once) or the supervisor's end: the exit status."""
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, do_nothing)  # what a terminal sends to everybody is for the supervisor
        # On a busy processor each new connection would interrupt a worker, only to be passed on. Now the front waits
        # for its turn, some milliseconds at the most, and passes on all who have come.
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        try:
            options = self.options()
            if self.access_log is not None:
                os.dup2(self.access_log, STANDARD_OUTPUT, inheritable=False)
                os.close(self.access_log)
            if self.identity:
                become(self.identity)
            sites = [(site.fileno(), slot) for site, slot in self.sites]
            self.front = Front(options, sites, self.obey, log.journal.write)
            for site, _ in self.sites:
                site.close()  # the front has its own descriptor, and closes it with the site
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
        options = engine_options(self.config, self.listeners, []) | {
            "threads": 1,
            # How large a body may be is for its site to say. The front reads none, also where it answers by itself.
            "max_body": 2**64 - 1,
            "stream_body": True,
            "protected": {},
            "guarded": [],
            "routes": self.routes,
        }
        if self.access_log is not None:
            options["access_log"] = "-"
        if self.scoreboard:
            options["scoreboard_fd"] = self.scoreboard.fileno()
        return options

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
                self.channel.send({"event": "added", "site": self.front.add_site(descriptor, message["slot"])})
            case "replace":
                (descriptor,) = descriptors
                os.dup2(descriptor, message["fd"], inheritable=False)
                self.front.reopen_logs()
            case "stats":
                self.channel.send({"event": "stats", "stats": self.front.stats()})
            case other:
                raise AssertionError(f"no supervisor of ours says {other!r}")
