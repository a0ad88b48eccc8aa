"""What the parent of several sites should do next: events and the time in, actions out. No fork, no clock, no file.

Each site is one supervisor process. What goes wrong in one changes nothing for another: it is started again after a
pause, and visitors are held or told to come back meanwhile.
"""

import math
from collections.abc import Collection
from typing import NamedTuple

from penstock.errors import PenstockError

FIRST_PAUSE = 0.1  # seconds before a site whose supervisor ended is started again; doubles each time
LONGEST_PAUSE = 60.0
STEADY = 10.0  # a site that was up for so long was well: the pause begins anew
KILL_AFTER = 5.0  # beyond a site's graceful time, which its own supervisor looks after


class Start(NamedTuple):
    """Start the supervisor of a site."""

    site: str


class Signal(NamedTuple):
    """Send a site's supervisor a signal, by its name without SIG."""

    site: str
    name: str


class Open(NamedTuple):
    """Have the front pass requests on to the site, which serves."""

    site: str


class Hold(NamedTuple):
    """Have the front pass requests on to the site, where they wait until it serves."""

    site: str


class Shut(NamedTuple):
    """Have the front answer the site's visitors with 503."""

    site: str


class Await(NamedTuple):
    """Say when somebody asks for the site."""

    site: str


class Forget(NamedTuple):
    """Give up what is kept for a site that is no longer configured."""

    site: str


class Log(NamedTuple):
    """Write a line."""

    level: str
    message: str


class Finish(NamedTuple):
    """Leave."""


Action = Start | Signal | Open | Hold | Shut | Await | Forget | Log | Finish


class Site:
    """One site, seen from outside.

    `state`: "idle" and "stopped" have no process; "failing" waits for its next try; "starting", "up", "leaving".
    """

    __slots__ = (
        "door",
        "error",
        "graceful",
        "is_removed",
        "kill_at",
        "next",
        "on_demand",
        "pause",
        "restarts",
        "resume_at",
        "since",
        "state",
    )

    def __init__(self, on_demand: bool, graceful: float, now: float) -> None:
        self.on_demand, self.graceful = on_demand, graceful
        self.state = "idle"
        self.next = ""  # what follows "leaving": "start", "idle", "stopped"
        self.since = now
        self.restarts = 0
        self.pause = FIRST_PAUSE
        self.resume_at = math.inf
        self.kill_at = math.inf
        self.error = ""  # why it fails
        self.is_removed = False
        self.door: type[Open | Hold | Shut] = Open  # what the front does, and with a site that is new to it

    @property
    def is_running(self) -> bool:
        """Whether it has a process."""
        return self.state in ("starting", "up", "leaving")

    def become(self, state: str, now: float) -> None:
        """Changes the state."""
        self.state, self.since = state, now


class State:
    """The sites there are. Every event returns the actions to take; what cannot be done is refused."""

    def __init__(self) -> None:
        self.sites: dict[str, Site] = {}
        self.is_stopping = False

    # -- what the configuration and people ask for

    def add(self, name: str, on_demand: bool, graceful: float, now: float, is_stopped: bool = False) -> list[Action]:
        """A site is configured, perhaps again while it still leaves; `is_stopped` until somebody starts it."""
        if name in self.sites:
            site = self.sites[name]
            site.on_demand, site.graceful, site.is_removed = on_demand, graceful, False
            if site.state == "leaving":
                site.next = "start"
            return []
        self.sites[name] = Site(on_demand, graceful, now)
        if is_stopped:
            self.sites[name].become("stopped", now)
            return self.turn(name, Shut)
        return [*self.turn(name, Hold), Await(name)] if on_demand else self.begin(name, now)

    def remove(self, name: str, now: float) -> list[Action]:
        """A site is no longer configured: its requests are finished, then it is forgotten."""
        site = self.sites[name]
        site.is_removed = True
        return [Log("info", f"the site {name} is no longer configured"), *self.end(name, "stopped", now)]

    def change(self, name: str, needs_restart: bool, now: float) -> list[Action]:
        """A site's configuration has changed: it reloads by itself, unless its process has to be another one."""
        site = self.sites[name]
        if site.state in ("idle", "stopped", "leaving"):
            return []
        if site.state == "failing":
            return self.begin(name, now)
        if needs_restart or site.state == "starting":
            return [Log("info", f"the site {name} is started anew"), *self.end(name, "start", now)]
        return [Signal(name, "HUP")]

    def start(self, name: str, now: float) -> list[Action]:
        """Somebody wants a site that has no process."""
        site = self.sites[name]
        if site.state == "leaving":
            site.next = "start"
        return [] if site.is_running else self.begin(name, now)

    def stop(self, name: str, now: float) -> list[Action]:
        """Somebody wants a site to stop; a second time at once."""
        site = self.sites[name]
        if site.state == "stopped":
            raise PenstockError(f"the site {name} is stopped already", f"`penstock reload {name}` starts it")
        if site.state == "leaving" and site.next == "stopped":
            return [Signal(name, "QUIT")]
        return [*self.turn(name, Shut), *self.end(name, "stopped", now)]

    def stop_all(self, now: float, at_once: bool = False) -> list[Action]:
        """Ends everything; at once when it is asked for again."""
        actions: list[Action] = []
        if not self.is_stopping:
            actions.append(Log("info", "stopping at once" if at_once else "stopping: requests in flight are finished"))
        at_once = at_once or self.is_stopping
        self.is_stopping = True
        for name, site in self.sites.items():
            actions += self.end(name, "stopped", now)
            if at_once and site.is_running:
                actions.append(Signal(name, "QUIT"))
        return [*actions, *self.finish()]

    # -- what happens

    def ready(self, name: str, now: float) -> list[Action]:
        """A site serves."""
        site = self.sites[name]
        if site.state != "starting":
            return []
        site.become("up", now)
        site.error = ""
        return [*self.turn(name, Open), Log("info", f"the site {name} is up")]

    def failed(self, name: str, reason: str) -> list[Action]:
        """A site says why it will end."""
        self.sites[name].error = reason
        return []

    def rests(self, name: str, now: float) -> list[Action]:
        """Nobody has asked for a site for a while."""
        site = self.sites[name]
        if site.state != "up" or not site.on_demand:
            return []
        return [Log("info", f"the site {name} rests: nobody asks for it"), *self.end(name, "idle", now)]

    def wanted(self, name: str, now: float) -> list[Action]:
        """Somebody asks for a site that rests."""
        if self.sites[name].state != "idle":
            return []
        return [Log("info", f"the site {name} is asked for"), *self.begin(name, now)]

    def exited(self, name: str, ending: str, now: float) -> list[Action]:
        """A site's supervisor has ended."""
        site = self.sites[name]
        site.kill_at = math.inf
        if self.is_stopping:
            site.become("stopped", now)
            return self.finish()
        if site.state == "leaving":
            return self.left(name, site, now)
        was_up = site.state == "up"
        if was_up and now - site.since >= STEADY:
            site.pause = FIRST_PAUSE
        site.restarts += 1
        site.resume_at = now + site.pause
        again = f"starting it again in {site.pause:g} s"
        site.pause = min(site.pause * 2, LONGEST_PAUSE)
        site.become("failing", now)
        if was_up and not site.error:
            return [*self.turn(name, Hold), Log("error", f"the supervisor of the site {name} {ending}; {again}")]
        return [*self.turn(name, Shut), Log("error", f"the site {name} cannot start, {again}: {site.error or ending}")]

    def left(self, name: str, site: Site, now: float) -> list[Action]:
        """A site has ended as it was told to."""
        if site.is_removed:
            del self.sites[name]
            return [Forget(name), Log("info", f"the site {name} has left")]
        if site.next == "start":
            return self.begin(name, now)
        site.become(site.next, now)
        if site.next == "idle":
            return [*self.turn(name, Hold), Await(name)]
        return [Log("info", f"the site {name} is stopped")]

    def have_come_up(self, names: Collection[str]) -> bool:
        """Whether all these sites serve, or would when asked. Raises PenstockError when one of them cannot."""
        sites = {name: self.sites[name] for name in names if name in self.sites}
        for name, site in sites.items():
            if site.state == "failing":
                raise PenstockError(f"the site {name} cannot start: {site.error or 'its supervisor ended'}")
        return all(site.state in ("up", "idle") for site in sites.values())

    def next_time(self) -> float:
        """When tick() should be called at the latest; infinite when nothing waits."""
        return min((min(site.resume_at, site.kill_at) for site in self.sites.values()), default=math.inf)

    def tick(self, now: float) -> list[Action]:
        """Does what was put off until now."""
        actions: list[Action] = []
        for name, site in self.sites.items():
            if site.resume_at <= now:
                actions += self.begin(name, now)
            if site.kill_at <= now:
                site.kill_at = math.inf
                actions += [Log("warning", f"the site {name} does not leave; killing it"), Signal(name, "KILL")]
        return actions

    # -- decisions

    def begin(self, name: str, now: float) -> list[Action]:
        """Starts a site's supervisor. Visitors wait, unless the site has failed before."""
        site = self.sites[name]
        site.resume_at = math.inf
        has_failed = site.state == "failing" and site.error
        site.become("starting", now)
        site.error = ""
        return [Start(name)] if has_failed else [*self.turn(name, Hold), Start(name)]

    def turn(self, name: str, door: type[Open | Hold | Shut]) -> list[Action]:
        """Lets visitors in, has them wait inside, or tells them to come back."""
        site = self.sites[name]
        before, site.door = site.door, door
        return [] if before is door else [door(name)]

    def end(self, name: str, then: str, now: float) -> list[Action]:
        """Has a site leave, and be what `then` says."""
        site = self.sites[name]
        site.resume_at = math.inf
        site.next = then
        if site.state == "leaving":
            return []
        if not site.is_running:
            site.become("stopped", now)
            return [] if self.is_stopping else self.left(name, site, now)
        site.become("leaving", now)
        site.kill_at = now + site.graceful + KILL_AFTER
        return [Signal(name, "TERM")]

    def finish(self) -> list[Action]:
        """Leaves when nobody is left."""
        if any(site.is_running for site in self.sites.values()):
            return []
        return [Log("info", "stopped"), Finish()]


def describe(sites: Collection[Site]) -> str:
    """How many sites there are in each state, in a few words."""
    states = [site.state for site in sites]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) or "no sites"
