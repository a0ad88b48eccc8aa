"""The front, seen from the parent: starts it, again when it ends, and tells it whose each request is.

What is to be done with a site's visitors, state.py decides. What the front does, it says itself: see penstock.front.
"""

import os
import signal
import time
from typing import TYPE_CHECKING

from penstock import log
from penstock._native import Scoreboard
from penstock.admin.totals import Totals, add_up
from penstock.errors import from_message
from penstock.front import STANDARD_OUTPUT, FrontProcess
from penstock.privileges import Identity
from penstock.processes import Channel, Forked, send_signal, signals_blocked
from penstock.sites.routing import table_of
from penstock.sites.state import FIRST_PAUSE, KILL_AFTER, LONGEST_PAUSE, Hold, Open, Shut
from penstock.sites.world import LOG_MODE
from penstock.supervisor.state import sentence

if TYPE_CHECKING:
    from penstock._native import SiteRule
    from penstock.sites.process import Sites
    from penstock.sites.site_handle import SiteHandle

# Slots in which the front counts: its own, and one for each site. Those that nobody uses cost no memory.
SLOTS = 4096
FRONT_SLOT = 0

# What the front does with the requests of a site, as it is told.
DOORS = {Open: "up", Hold: "waiting", Shut: "down"}

# Counters of the front, and of a site in it by what they are called there.
FRONT_COUNTERS = (
    "connections_accepted",
    "connections_handed",
    "connections_taken",
    "connections_held",
    "rejected",
    "unknown_hosts",
)
SITE_COUNTERS = {
    "handed": "connections_handed",
    "held": "connections_held",
    "returned": "connections_taken",
    "refused": "rejected",
}


class FrontHandle:
    """What the parent holds of the front: the process that there is now, and what is kept when it is replaced."""

    def __init__(self, parent: "Sites") -> None:
        self.parent = parent
        self.pid = 0  # when there is none
        self.channel: Channel | None = None
        self.names: list[str] = []  # the sites by their numbers in the front; "" for one that is gone
        self.routes: list[SiteRule] = []  # as the front has them
        self.board = Scoreboard(SLOTS, 1)  # in which it counts
        self.counted_before = Totals()  # by those that it has followed
        self.pause = FIRST_PAUSE

    # -- its process

    def start(self) -> None:
        """Forks the front, which leaves these frames by way of Forked."""
        parent = self.parent
        ours, theirs = Channel.pair()
        earlier = parent.heir.inboxes if parent.heir else []
        self.names = [*parent.sites, *[""] * len(earlier)]
        self.routes = table_of(parent.rules, self.numbers)
        identity = nobody() if not os.geteuid() else None
        access_log = self.open_access_log() if identity else None
        with signals_blocked() as held_back:
            pid = os.fork()
            if not pid:
                held_back.add(signal.SIGUSR1)  # "open the logs anew" may come at once; worker.py lets it in
                parent.leave_behind()
                ours.close()
                raise Forked(
                    FrontProcess(
                        config=parent.config,
                        listeners=parent.listeners,
                        sites=[
                            *((site.inbox.front, site.slot) for site in parent.sites.values()),
                            *((inbox, None) for inbox in earlier),
                        ],
                        routes=self.routes,
                        channel=theirs,
                        scoreboard=self.board,
                        identity=identity,
                        access_log=access_log,
                    ).run
                )
        theirs.close()
        for inbox in earlier:
            inbox.close()
        if access_log is not None:
            os.close(access_log)
        self.channel, self.pid = ours, pid
        parent.watch(ours.end, lambda _: self.listen(ours))
        for name, site in parent.state.sites.items():
            self.turn(name, site.door)

    def listen(self, channel: Channel) -> None:
        """Hears that it is ready, or why it cannot start."""
        heir = self.parent.heir
        for message in channel.receive_waiting():
            if message is None:
                self.parent.unwatch(channel.end)
                channel.close()
                return
            if message["event"] == "ready":
                self.pause = FIRST_PAUSE
                if heir:
                    self.parent.take_over(heir)
            elif message["event"] == "cannot start":
                if heir:
                    raise from_message(message)
                log.error(sentence(message))

    def tell_end(self, ending: str) -> None:
        """It has ended: another takes its place, unless everything ends."""
        pid, self.pid, self.channel = self.pid, 0, None
        self.counted_before.add(self.board.read(FRONT_SLOT))
        self.board.clear(FRONT_SLOT)
        if self.parent.is_stopping:
            return
        log.error(f"the front (pid {pid}) {ending}; starting another in {self.pause:g} s")
        self.parent.call_at(time.monotonic() + self.pause, self.start_again)
        self.pause = min(self.pause * 2, LONGEST_PAUSE)

    def start_again(self) -> None:
        """Starts one in the place of another, unless everything ends."""
        if not self.parent.is_stopping and not self.pid:
            self.start()

    def stop(self) -> None:
        """Has it finish what it holds, and ends it when that takes too long; if it is there."""
        if not self.pid:
            return
        send_signal(self.pid, signal.SIGTERM)

        def kill() -> None:
            if self.pid:
                log.warning(f"the front (pid {self.pid}) does not leave; killing it")
                send_signal(self.pid, signal.SIGKILL)

        self.parent.call_at(time.monotonic() + self.parent.config.graceful_timeout + KILL_AFTER, kill)

    def stop_at_once(self) -> None:
        """Ends it, if it is there."""
        if self.pid:
            send_signal(self.pid, signal.SIGQUIT)

    # -- what it is told

    @property
    def numbers(self) -> dict[str, int]:
        """The number of each site in the front; the last one when a site was removed and came back."""
        return {name: number for number, name in enumerate(self.names)}

    def route(self) -> None:
        """Tells it of sites and rules that it does not know."""
        if not self.channel:
            return
        for name, site in self.parent.sites.items():
            if name not in self.names:
                self.names.append(name)
                self.channel.send_with({"command": "add", "slot": site.slot}, site.inbox.front.fileno())
        routes = table_of(self.parent.rules, self.numbers)
        if routes != self.routes:
            self.routes = routes
            self.channel.send({"command": "routes", "routes": routes})

    def turn(self, site: str, door: type[Open | Hold | Shut]) -> None:
        """Has it pass on what is a site's, or refuse it."""
        if self.channel:
            self.channel.send({"command": "state", "site": self.numbers[site], "state": DOORS[door]})

    def forget(self, site: str) -> None:
        """A site has left: its number is not used again. The front notices that nobody takes its requests."""
        self.names = ["" if name == site else name for name in self.names]

    # -- its logs

    def open_access_log(self) -> int | None:
        """The file that it writes to and may not open itself, when it is nobody; None when there is none."""
        path = self.parent.config.access_log
        if path in ("", "-"):
            return None
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, LOG_MODE)
        except OSError as error:
            log.error(f"access_log {path} cannot be opened: {error.strerror}; the front logs no requests")
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def reopen_logs(self) -> None:
        """Has it log to the new files; when it is nobody, it cannot open them itself."""
        if not self.channel:
            return
        if os.geteuid():
            send_signal(self.pid, signal.SIGUSR1)
            return
        if log.journal.path != "-":
            self.channel.send_with({"command": "replace", "fd": log.journal.fd}, log.journal.fd)
        access_log = self.open_access_log()
        if access_log is not None:
            self.channel.send_with({"command": "replace", "fd": STANDARD_OUTPUT}, access_log)
            os.close(access_log)

    # -- what it has counted

    def facts(self) -> dict[str, int]:
        """What it has counted, those included that it has followed."""
        reading = self.board.read(FRONT_SLOT)
        total = add_up([self.counted_before.reading, reading])
        return {"pid": self.pid, "connections_open": reading["connections_open"]} | {
            name: total[name] for name in FRONT_COUNTERS
        }

    def connections_of(self, site: "SiteHandle") -> dict[str, int]:
        """What it has done with the connections of a site; nothing when there are too many sites to count."""
        reading = {} if site.slot is None else self.board.read(site.slot)
        return {name: reading[counter] for name, counter in SITE_COUNTERS.items() if reading}

    def free_slot(self) -> int | None:
        """An empty slot for another site; None when there is none left."""
        used = {FRONT_SLOT, *(site.slot for site in self.parent.sites.values())}
        slot = next((slot for slot in range(SLOTS) if slot not in used), None)
        if slot is not None:
            self.board.clear(slot)
        return slot


def nobody() -> Identity | None:
    """Whom the front becomes when root starts it: somebody who owns nothing. None where there is no such user."""
    import pwd  # noqa: PLC0415 (only for root)

    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return None
    return Identity(entry.pw_uid, entry.pw_gid, [entry.pw_gid], entry.pw_name, entry.pw_dir)
