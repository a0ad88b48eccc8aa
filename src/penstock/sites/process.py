"""The parent of several sites: does what state.py decides. Loads no application, and decides nothing itself.

It binds the addresses, starts the front, which knows whose each request is, and one ordinary supervisor for each site.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from penstock import capacity, log
from penstock._native import Scoreboard, version
from penstock.admin.control import ControlServer
from penstock.admin.place import path_for
from penstock.admin.totals import Totals, add_up
from penstock.announce import block
from penstock.cli import SITE
from penstock.config import ONLY_ONE, Config, keep_fixed, load
from penstock.errors import ConfigurationError, PenstockError, UsageError, from_message, nearest
from penstock.front import STANDARD_OUTPUT, FrontProcess
from penstock.privileges import Identity
from penstock.processes import (
    INHERITED,
    Channel,
    Forked,
    become_subreaper,
    describe_status,
    give_back_memory,
    signals_blocked,
)
from penstock.settings import BY_NAME, TABLE, belongs_in
from penstock.sites import state
from penstock.sites.child import Legacy
from penstock.sites.control import SitesClient
from penstock.sites.inbox import Inbox
from penstock.sites.log_files import refuse_shared_logs
from penstock.sites.routing import Rule, losers, rules_for, rules_of, table_of
from penstock.sites.state import FIRST_PAUSE, KILL_AFTER, LONGEST_PAUSE
from penstock.sites.watching import DirectoryWatch
from penstock.sites.world import LOG_MODE, give_logs_anew, start_in_world, world_of
from penstock.sockets import Listener, listen_all
from penstock.supervisor.loop import Loop
from penstock.supervisor.process import HELD_OFF, Decided, Supervisor, send_signal
from penstock.supervisor.signals import SignalQueue
from penstock.supervisor.state import sentence
from penstock.systemd import Notifier, Phase, take_passed_sockets

if TYPE_CHECKING:
    from penstock._native import SiteRule
    from penstock.admin.http import AdminServer
    from penstock.supervisor.upgrade import Heir, Successor

# Slots in which the front counts: its own, and one for each site. Those that nobody uses cost no memory.
SLOTS = 4096
FRONT_SLOT = 0

PAUSE = 0.1  # seconds without a change that end a save: several files may be written at once

# Keys that say which requests are a site's: the front has to know them, the site itself has not.
ROUTING = frozenset({"hosts", "default"})
# What only a restart of the parent changes.
FIXED = frozenset(one.name for one in TABLE if not one.reloads and not belongs_in(one, "sites"))

# What the front does with the requests of a site, as it is told.
DOORS = {state.Open: "up", state.Hold: "waiting", state.Shut: "down"}
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


class SiteHandle:
    """What the parent holds of one site."""

    def __init__(self, name: str, number: int, slot: int | None, config: Config) -> None:
        self.name, self.number, self.slot, self.config = name, number, slot, config
        self.inbox = Inbox.make()
        self.pid = 0
        self.channel: Channel | None = None  # to its supervisor
        self.control: socket.socket | None = None
        self.control_path = ""

    def open_control(self, path: str) -> None:
        """Binds the control socket of the site's supervisor, which listens on it; again after a site was away."""
        if not path or self.control:
            return
        with contextlib.suppress(OSError):
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # of a dead process that had our pid, which is in the name
            listening.bind(path)
            os.chmod(path, 0o600)
            listening.listen()
            self.control, self.control_path = listening, path

    def close_control(self) -> None:
        """Removes the control socket; who waits there for a supervisor that has left is told by the end."""
        if self.control:
            self.control.close()
            with contextlib.suppress(OSError):
                os.unlink(self.control_path)
        self.control, self.control_path = None, ""

    def close(self) -> None:
        """Gives up what is the site's."""
        self.inbox.close()
        self.close_control()
        if self.channel:
            self.channel.close()


class Sites(Loop):
    """Holds the addresses, the front and the supervisors of all sites of one `penstock serve`."""

    parent = None  # as in Supervisor: nobody stands above it

    def __init__(self, config: Config, arguments: Mapping[str, Any], start: str) -> None:
        super().__init__()
        self.config, self.arguments, self.start = config, arguments, start
        self.state = state.State()
        self.sites: dict[str, SiteHandle] = {}
        self.rules: list[Rule] = []
        self.sites_made = 0
        self.front: Channel | None = None
        self.front_pid = 0
        self.known_to_front: list[str] = []  # the sites by their numbers in the front
        self.board = Scoreboard(SLOTS, 1)  # in which the front counts
        self.fronts_before = Totals()
        self.front_pause = FIRST_PAUSE
        self.heir: Heir | None = None
        self.is_heir = False
        self.successor: Successor | None = None
        self.has_handed_over = False
        self.control = ControlServer(self, SitesClient)
        self.control_base = ""  # what the names of the sites' control sockets begin with
        self.admin: AdminServer | None = None
        self.listeners: list[Listener] = []
        self.admin_listeners: list[Listener] = []
        self.waiting: dict[str, list[Decided]] = {}  # by site: who wants to know whether it comes up
        self.started = time.monotonic()
        self.owner = os.getpid()
        self.passed = take_passed_sockets(os.environ, self.owner)
        self.notifier = Notifier(os.environ, self.owner)
        self.is_stopping = False
        self.is_finished = False
        self.is_changed = False  # files have changed, and are read when no more do

    def run(self) -> int:
        """Serves until it is told to stop. Raises PenstockError when the configuration is wrong."""
        try:
            if INHERITED in os.environ:
                from penstock.supervisor.upgrade import Heir  # noqa: PLC0415 (few supervisors are ever replaced)

                self.heir = Heir(os.environ.pop(INHERITED))
                self.is_heir = True
                self.notifier.is_heard = False
            self.serve()
        except PenstockError as error:
            if self.heir:
                self.heir.give_up(error)
            raise
        return 0

    def serve(self) -> None:
        """Reads the configuration, binds, and runs the loop."""
        refuse_only_one(self.arguments)
        configs, errors = self.read_sites()
        for name, error in errors.items():
            if not self.has_files or name in self.to_come_up:
                raise error
            log.error(sentence(error.to_message()))
        rules_for(configs)
        refuse_shared_logs(self.config, configs)
        if any(address.startswith("uwsgi:") for address in self.config.bind):
            raise ConfigurationError(
                f"several sites cannot be reached by the uwsgi protocol ({self.config.origin('bind')})",
                "bind an address for HTTP and have the web server proxy to it, or serve each site by itself",
            )
        try:
            if self.heir:
                self.listeners = self.heir.listeners
            else:
                self.listeners = listen_all(self.config.bind, self.config.backlog, self.passed)
            inherited = self.heir.admin_listeners if self.heir else []
            addresses = [] if inherited else self.config.admin_bind
            self.admin_listeners = inherited + listen_all(addresses, self.config.backlog, self.passed)
            self.supervise(configs)
        finally:
            self.clean_up()

    @property
    def to_come_up(self) -> list[str]:
        """The sites that have to serve here before the parent that is to be replaced may go."""
        return self.heir.message["up"] if self.heir else []

    def supervise(self, configs: Mapping[str, Config]) -> None:
        """The loop: wait, collect what happened, decide, act."""
        become_subreaper()
        gc.collect()  # as in Supervisor
        give_back_memory()
        self.signals = SignalQueue()
        self.poll.register(self.signals, select.POLLIN)
        self.control_base = control_base(self.config)
        if not self.heir:
            self.be_found()
            self.notifier.feed_watchdog(self.call_at)
        self.say_where()
        self.configure(configs)
        if self.has_files:
            self.watch_files()
        while not self.is_finished:
            ready = self.wait_until(self.state.next_time())
            numbers = self.signals.read()
            # As in Supervisor: what a process said before it ended is heard before its end is.
            ended = Supervisor.reap() if signal.SIGCHLD in numbers else []
            self.call_back(ready)
            for pid, status in ended:
                self.tell_end(pid, describe_status(status))
            for number in numbers:
                try:
                    self.tell_signal(number)
                except PenstockError as error:
                    log.warning(f"{signal.Signals(number).name} changes nothing: {error.message}")
            self.act(self.state.tick(time.monotonic()))
            if self.heir and not self.front and self.state.have_come_up(self.to_come_up) and not self.is_stopping:
                self.start_front()
        self.signals.close()

    def be_found(self) -> None:
        """Writes the pid file, opens the control socket and the admin server."""
        if self.config.pid_file:
            with open(self.config.pid_file, "w") as file:
                file.write(f"{os.getpid()}\n")
        self.control.open()
        if self.admin_listeners:
            from penstock.sites.admin import SitesAdminServer  # noqa: PLC0415 (off by default)

            self.admin = SitesAdminServer(self, self.admin_listeners)
            self.admin.start()

    def say_where(self) -> None:
        """The lines at the start, for a person."""
        rows = [("address", one.url, one.origin or self.config.origin("bind")) for one in self.listeners]
        rows.append(("sites", str(len(self.config.sites)), os.path.relpath(self.config.file or "")))
        if log.journal.is_for_people:
            log.journal.put(block(rows, log.journal.colour, f"Penstock {version()}"))
            return
        for label, value, reason in rows:
            log.info(f"{label}: {value} ({reason})")

    # -- the configuration

    @property
    def has_files(self) -> bool:
        """Whether each site has a file of its own."""
        return bool(self.config.site_pattern)

    def read_sites(self) -> tuple[dict[str, Config], dict[str, PenstockError]]:
        """The configuration of each site, or why it has none. Raises when the file of them all is wrong."""
        self.config = load(self.arguments, os.environ, self.start)
        if not self.config.has_sites:
            raise ConfigurationError("there are no sites in the configuration any more", "one site needs a restart")
        configs: dict[str, Config] = {}
        errors: dict[str, PenstockError] = {}
        for name in self.config.sites:
            try:
                config = load({**self.arguments, "site": name}, os.environ, self.start)
                rules_of(name, config)
                configs[name] = config
            except PenstockError as error:
                errors[name] = error
        return configs, errors

    def configure(self, configs: Mapping[str, Config], errors: Collection[str] = (), reloads: bool = False) -> None:
        """Starts, changes and ends sites, so that they are as configured; those with `errors` stay as they are.

        With `reloads` also those reload whose configuration is the same.
        """
        now = time.monotonic()
        for name in self.sites.keys() - configs.keys() - set(errors):
            self.act(self.state.remove(name, now))
        actions: list[state.Action] = []
        changed: dict[str, set[str]] = {}
        for name, config in configs.items():
            if name not in self.sites:
                self.sites[name] = SiteHandle(name, self.sites_made, self.free_slot(), config)
                self.sites_made += 1
            else:
                changed[name] = differences(self.sites[name].config, config)
                self.sites[name].config = config
            is_stopped = bool(self.heir and name in self.heir.message["stopped"])
            actions += self.state.add(name, config.on_demand, config.graceful_timeout, now, is_stopped)
        self.route()
        self.act(actions)
        for name, keys in changed.items():
            own = keys - ROUTING - FIXED
            if own or reloads:
                restarts = any(not BY_NAME[key].reloads for key in own)
                self.act(self.state.change(name, restarts, now))

    def reconfigure(self, reloads: bool) -> None:
        """Reads the configuration anew. What is wrong is said, and changes nothing."""
        before = self.config
        try:
            configs, errors = self.read_sites()
            self.config = keep_fixed(self.config, before)
            for error in errors.values():
                log.error(sentence(error.to_message()))
            known = {name: handle.config for name, handle in self.sites.items()}
            wanted = {name: configs.get(name) or known[name] for name in (*configs, *(errors.keys() & known.keys()))}
            rules_for(wanted)
            refuse_shared_logs(self.config, wanted)
        except PenstockError as error:
            self.config = before
            log.error(f"the sites stay as they are: {sentence(error.to_message())}")
            return
        self.configure(configs, errors, reloads)

    def watch_files(self) -> None:
        """Looks after the directory of the sites' files."""
        directory = os.path.dirname(self.config.site_pattern)
        try:
            watch = DirectoryWatch(directory)
        except OSError as error:
            log.warning(f"{directory} cannot be watched ({error.strerror}): HUP reads it anew")
            return

        def read_soon(_: int) -> None:
            watch.clear()
            if not self.is_changed:
                self.is_changed = True
                self.call_at(time.monotonic() + PAUSE, read)

        def read() -> None:
            self.is_changed = False
            if not self.is_stopping:
                self.reconfigure(reloads=False)

        self.watch(watch, read_soon)

    # -- the front

    def route(self) -> None:
        """Has the front route as it is configured now; who loses requests to another site has to know."""
        rules = rules_for({name: one.config for name, one in self.sites.items() if not self.is_leaving(name)})
        before, self.rules = self.rules, rules
        if not self.front:
            if not self.heir:  # whose sites are not up yet, while another front serves
                self.start_front()
            return
        for name in [name for name in self.sites if name not in self.known_to_front]:
            self.known_to_front.append(name)
            handle = self.sites[name]
            self.front.send_with({"command": "add", "slot": handle.slot}, handle.inbox.front.fileno())
        if rules == before:
            return
        self.front.send({"command": "routes", "routes": table_of(rules, self.numbers_in_front())})
        for handle in self.sites.values():
            if handle.channel:
                handle.channel.send({"routes": self.table()})
        for name in losers(before, rules):
            if name in self.state.sites and self.state.sites[name].state == "up":
                log.info(f"the site {name} reloads: some of its requests are another site's now")
                self.act(self.state.change(name, False, time.monotonic()))

    def is_leaving(self, name: str) -> bool:
        """Whether a site is there only to finish its requests."""
        return name in self.state.sites and self.state.sites[name].is_removed

    def table(self) -> "list[SiteRule]":
        """The rules, as the engines of all sites have them."""
        return table_of(self.rules, {name: handle.number for name, handle in self.sites.items()})

    def numbers_in_front(self) -> dict[str, int]:
        """The number of each site in the front; the last one when a site was removed and came back."""
        return {name: number for number, name in enumerate(self.known_to_front)}

    def start_front(self) -> None:
        """Forks the front, which leaves these frames by way of Forked."""
        ours, theirs = Channel.pair()
        earlier = self.heir.inboxes if self.heir else []
        self.known_to_front = [*self.sites, *[""] * len(earlier)]
        identity = nobody() if not os.geteuid() else None
        access_log = self.open_access_log() if identity else None
        with signals_blocked():
            pid = os.fork()
            if not pid:
                self.leave_behind()
                ours.close()
                raise Forked(
                    FrontProcess(
                        config=self.config,
                        listeners=self.listeners,
                        sites=[
                            *((handle.inbox.front, handle.slot) for handle in self.sites.values()),
                            *((inbox, None) for inbox in earlier),
                        ],
                        routes=table_of(self.rules, self.numbers_in_front()),
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
        self.front, self.front_pid = ours, pid
        self.watch(ours.end, lambda _: self.listen_to_front(ours))
        for name, site in self.state.sites.items():
            self.tell_front(name, DOORS[site.door])

    def open_access_log(self) -> int | None:
        """The file that the front writes to and may not open itself, when it is nobody; None when there is none."""
        path = self.config.access_log
        if path in ("", "-"):
            return None
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, LOG_MODE)
        except OSError as error:
            log.error(f"access_log {path} cannot be opened: {error.strerror}; the front logs no requests")
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def reopen_front_logs(self) -> None:
        """Has the front log to the new files; when it is nobody, it cannot open them itself."""
        if not self.front or not self.front_pid:
            return
        if os.geteuid():
            send_signal(self.front_pid, signal.SIGUSR1)
            return
        if log.journal.path != "-":
            self.front.send_with({"command": "replace", "fd": log.journal.fd}, log.journal.fd)
        access_log = self.open_access_log()
        if access_log is not None:
            self.front.send_with({"command": "replace", "fd": STANDARD_OUTPUT}, access_log)
            os.close(access_log)

    def restart_front(self) -> None:
        """Starts a front in the place of one that has ended, unless everything ends."""
        if not self.is_stopping and not self.front:
            self.start_front()

    def listen_to_front(self, channel: Channel) -> None:
        """Hears that the front is ready, or why it cannot start."""
        for message in channel.receive_waiting():
            if message is None:
                self.unwatch(channel.end)
                channel.close()
                return
            if message["event"] == "ready":
                self.front_pause = FIRST_PAUSE
                if self.heir:
                    self.take_over(self.heir)
            elif message["event"] == "cannot start":
                if self.heir:
                    raise from_message(message)
                log.error(sentence(message))

    def tell_front(self, site: str, condition: str) -> None:
        """Has the front pass on, or refuse, what is a site's."""
        if self.front:
            self.front.send({"command": "state", "site": self.numbers_in_front()[site], "state": condition})

    # -- events

    def tell_end(self, pid: int, ending: str) -> None:
        """A process of ours has ended: a front, a site's supervisor, or an orphan that nobody asks for."""
        now = time.monotonic()
        if pid == self.front_pid:
            self.front, self.front_pid = None, 0
            self.fronts_before.add(self.board.read(FRONT_SLOT))
            self.board.clear(FRONT_SLOT)
            if self.is_stopping:
                self.act(self.state.stop_all(now))
            else:
                log.error(f"the front (pid {pid}) {ending}; starting another in {self.front_pause:g} s")
                self.call_at(now + self.front_pause, self.restart_front)
                self.front_pause = min(self.front_pause * 2, LONGEST_PAUSE)
            return
        for handle in [handle for handle in self.sites.values() if handle.pid == pid]:
            handle.pid = 0
            self.listen_to(handle)
            handle.close_control()
            self.act(self.state.exited(handle.name, ending, now))

    def tell_signal(self, number: int) -> None:
        """Somebody asks for something."""
        match number:
            case signal.SIGTERM | signal.SIGINT | signal.SIGQUIT:
                self.stop(at_once=number == signal.SIGQUIT)
            case signal.SIGHUP:
                self.reload(reloads=True)
            case signal.SIGUSR1:
                self.reopen_logs()
            case signal.SIGUSR2:
                self.start_upgrade(lambda _: None)

    def listen_to(self, handle: SiteHandle) -> None:
        """Takes what a site's supervisor has said."""
        now = time.monotonic()
        channel = handle.channel
        if channel is None:
            return
        for message in channel.receive_waiting():
            if message is None:
                break
            match message["event"]:
                case "ready":
                    self.act(self.state.ready(handle.name, now))
                    self.settle(handle.name, None)
                case "failed":
                    self.act(self.state.failed(handle.name, sentence(message["error"])))
                    self.settle(handle.name, message["error"])
                case "idle":
                    self.act(self.state.rests(handle.name, now))
        else:
            return
        self.unwatch(channel.end)
        channel.close()
        handle.channel = None

    # -- what the control socket asks for. Each raises PenstockError when it cannot be done

    def reload(self, reloads: bool) -> None:
        """Reads the configuration anew; with `reloads` every site loads its code anew too."""
        log.info("reloading: the configuration" + (" and every site" if reloads else ""))
        self.reconfigure(reloads)

    def start_site(self, name: str, on_decided: Decided) -> None:
        """Starts a site that rests, failed or was stopped; `on_decided` hears what came of it."""
        self.find(name)
        if self.state.sites[name].state == "up":
            on_decided(None)
            return
        self.waiting.setdefault(name, []).append(on_decided)
        self.act(self.state.start(name, time.monotonic()))

    def stop_site(self, name: str) -> None:
        """Stops one site until somebody starts it."""
        self.find(name)
        self.act(self.state.stop(name, time.monotonic()))

    def stop(self, at_once: bool = False) -> None:
        """Stops everything gracefully: first the front, so that nobody is left in it. When asked again, at once."""
        if self.is_stopping or at_once or not self.front_pid:
            at_once = at_once or self.is_stopping
            self.is_stopping = True
            if self.front_pid:
                send_signal(self.front_pid, signal.SIGQUIT)
            self.act(self.state.stop_all(time.monotonic(), at_once=at_once))
            return
        self.is_stopping = True
        ours = [] if self.has_handed_over else [listener for listener in self.listeners if listener.is_ours]
        for listener in ours:
            with contextlib.suppress(OSError):  # without it, who comes now is reset when we have left
                listener.hold_off()
        send_signal(self.front_pid, signal.SIGTERM)

        def refuse() -> None:
            for listener in ours:
                listener.refuse()

        def kill() -> None:
            if self.front_pid:
                log.warning(f"the front (pid {self.front_pid}) does not leave; killing it")
                send_signal(self.front_pid, signal.SIGKILL)

        now = time.monotonic()
        self.call_at(now + HELD_OFF, refuse)
        self.call_at(now + self.config.graceful_timeout + KILL_AFTER, kill)

    def start_upgrade(self, on_decided: Decided) -> None:
        """Starts a new parent, to which this one hands its sockets over when the sites that serve here serve there.

        It has our ends of the inboxes too: connections that our sites give back go on with its sites.
        """
        from penstock.supervisor.upgrade import start_successor  # noqa: PLC0415 (few supervisors are ever replaced)

        inboxes = [handle.inbox.front.fileno() for handle in self.sites.values()]
        more = {
            "up": [name for name, site in self.state.sites.items() if site.state == "up"],
            "stopped": [name for name, site in self.state.sites.items() if site.state == "stopped"],
            "inboxes": inboxes,
        }
        start_successor(self, on_decided, self.is_stopping, more, inboxes)

    def hand_over(self) -> None:
        """The new parent serves: this one leaves."""
        self.has_handed_over = True
        self.control.close()
        if self.admin:
            self.admin.close()
        self.stop()

    def take_over(self, heir: "Heir") -> None:
        """The front and the sites are ready: the old parent may go."""
        self.be_found()
        heir.take_over(self)
        self.heir = None

    def be_heard(self) -> None:
        """The old parent has named this one to the service manager."""
        if self.notifier.address:
            self.notifier.is_heard = True
            self.notify()
            self.notifier.feed_watchdog(self.call_at)

    def reopen_logs(self, name: str | None = None) -> None:
        """Opens the log files anew: those of one site, or all, in every process."""
        if name is None:
            log.journal.reopen()
            self.reopen_front_logs()
        for handle in self.sites.values() if name is None else [self.find(name)]:
            if handle.pid:
                with contextlib.suppress(PenstockError):  # its user has gone: said when the site is started
                    give_logs_anew(handle.config)
                send_signal(handle.pid, signal.SIGUSR1)

    def find(self, name: str) -> SiteHandle:
        """The site of that name. Raises UsageError."""
        if name not in self.sites:
            names = ", ".join(self.sites)
            raise UsageError(f"there is no site {name!r}", nearest(name, self.sites) or f"the sites are {names}")
        return self.sites[name]

    def settle(self, name: str, error: dict[str, str] | None) -> None:
        """Tells who waits for a site what has come of it."""
        for on_decided in self.waiting.pop(name, ()):
            on_decided(error)

    def snapshot(self) -> dict[str, Any]:
        """What there is, for those who only look."""
        now = time.monotonic()
        return {
            "version": version(),
            "pid": os.getpid(),
            "uptime": now - self.started,
            "addresses": [listener.url for listener in self.listeners],
            "generation": int(any(site.state == "up" for site in self.state.sites.values())),
            "is_ready": all(site.state == "up" or site.on_demand for site in self.state.sites.values()),
            "is_stopping": self.is_stopping,
            "front": self.front_facts(),
            "sites": [
                {
                    "name": name,
                    "state": self.state.sites[name].state,
                    "since": self.state.sites[name].since,
                    "restarts": self.state.sites[name].restarts,
                    "error": self.state.sites[name].error,
                    "on_demand": self.state.sites[name].on_demand,
                    "pid": handle.pid,
                    "control": handle.control_path,
                    "places": [f"{rule.host or '*'}{rule.path}" for rule in self.rules if rule.site == name],
                    "connections": self.connections_of(handle),
                }
                for name, handle in self.sites.items()
            ],
        }

    def front_facts(self) -> dict[str, int]:
        """What the front has counted, those included that it has replaced."""
        reading = self.board.read(FRONT_SLOT)
        total = add_up([self.fronts_before.reading, reading])
        return {"pid": self.front_pid, "connections_open": reading["connections_open"]} | {
            name: total[name] for name in FRONT_COUNTERS
        }

    def connections_of(self, handle: SiteHandle) -> dict[str, int]:
        """What the front has done with the connections of a site; nothing when there are too many sites to count."""
        reading = {} if handle.slot is None else self.board.read(handle.slot)
        return {name: reading[counter] for name, counter in SITE_COUNTERS.items() if reading}

    def free_slot(self) -> int | None:
        """An empty slot for another site; None when there is none left."""
        used = {FRONT_SLOT, *(handle.slot for handle in self.sites.values())}
        slot = next((slot for slot in range(SLOTS) if slot not in used), None)
        if slot is not None:
            self.board.clear(slot)
        return slot

    # -- actions

    def act(self, actions: list[state.Action]) -> None:
        """Does what was decided, in order."""
        for action in actions:
            match action:
                case state.Start(name):
                    self.start_site_process(self.sites[name])
                case state.Signal(name, signal_name):
                    if self.sites[name].pid:
                        send_signal(self.sites[name].pid, signal.Signals["SIG" + signal_name])
                case state.Open(name) | state.Hold(name) | state.Shut(name):
                    self.tell_front(name, DOORS[type(action)])
                case state.Await(name):
                    self.await_request(self.sites[name])
                case state.Forget(name):
                    self.forget(self.sites.pop(name))
                case state.Log(level, message):
                    log.journal.write(level, message)
                case state.Finish():
                    self.is_finished = True
        self.notify()

    def start_site_process(self, handle: SiteHandle) -> None:
        """Starts the supervisor of a site, in the site's world."""
        if handle.inbox.site.fileno() in self.watched:
            self.unwatch(handle.inbox.site)
        if self.control_base:
            handle.open_control(f"{self.control_base}-{handle.name}")
        ours, theirs = Channel.pair()
        legacy = Legacy(
            handle.name,
            handle.number,
            {**self.arguments, "site": handle.name},
            self.start,
            [(listener.kind, listener.host, listener.port) for listener in self.listeners],
            self.table(),
            theirs.end,
            handle.inbox.site,
            handle.control,
        )
        words = ["-m", "penstock", "serve", "--site", handle.name]
        try:
            handle.pid = start_in_world(world_of(handle.config, {SITE: legacy.dump()}), words, legacy.fds)
        except (PenstockError, OSError) as error:
            ours.close()
            told = (
                error if isinstance(error, PenstockError) else PenstockError(f"the system refuses: {error.strerror}")
            )
            self.act(self.state.failed(handle.name, sentence(told.to_message())))
            self.settle(handle.name, told.to_message())
            self.act(self.state.exited(handle.name, "", time.monotonic()))
            return
        finally:
            theirs.close()
        handle.channel = ours
        self.watch(ours.end, lambda _: self.listen_to(handle))

    def forget(self, handle: SiteHandle) -> None:
        """Gives up what is kept for a site that has left. The front notices that nobody takes its requests."""
        sources = [handle.inbox.site, *([handle.channel.end] if handle.channel else [])]
        for source in sources:
            if source.fileno() in self.watched:
                self.unwatch(source)
        handle.close()
        self.known_to_front[self.known_to_front.index(handle.name)] = ""  # its number is not used again
        gone = PenstockError(f"the site {handle.name} is no longer configured")
        self.settle(handle.name, gone.to_message())

    def await_request(self, handle: SiteHandle) -> None:
        """Waits for somebody in a site's inbox, who may be there already."""
        inbox = handle.inbox.site

        def wake(_: int) -> None:
            self.unwatch(inbox)
            self.act(self.state.wanted(handle.name, time.monotonic()))

        self.watch(inbox, wake)

    def notify(self) -> None:
        """Tells the service manager how far we are."""
        if not self.notifier.is_heard:
            return
        sites = self.state.sites.values()
        is_started = not any(site.state == "starting" and not site.restarts for site in sites)
        name = "stopping" if self.is_stopping else "ready" if is_started else "starting"
        self.notifier.tell(Phase(name, 1), f"{name}: {state.describe(sites)}")

    def leave_behind(self) -> None:
        """In a process forked from here: gives up what is the parent's alone."""
        self.signals.close()
        for source, _ in self.watched.values():
            source.close()
        for handle in self.sites.values():
            handle.inbox.site.close()
            if handle.control:
                handle.control.close()
        if self.heir:
            self.heir.channel.close()

    def clean_up(self) -> None:
        """Removes what we made; a forked child leaves it alone."""
        if os.getpid() != self.owner:
            return
        self.control.close()
        if self.successor:  # nobody wants it any more
            send_signal(self.successor.pid, signal.SIGTERM)
        for handle in self.sites.values():
            handle.close()
        if self.config.pid_file and capacity.read_text(self.config.pid_file) == f"{self.owner}\n":
            os.unlink(self.config.pid_file)
        if not self.has_handed_over and not self.heir:
            for listener in (*self.listeners, *self.admin_listeners):
                if listener.path:
                    with contextlib.suppress(OSError):
                        os.unlink(listener.path)


def differences(before: Config, after: Config) -> set[str]:
    """The settings whose values differ."""
    return {name for name, value in after.values.items() if value.value != before.values[name].value}


def control_base(config: Config) -> str:
    """What the names of the sites' control sockets begin with: no other parent's do. "" when there are to be none."""
    if config.control == "off":
        return ""
    try:
        place = path_for(config)
    except OSError:  # said where the parent's own is opened
        return ""
    return place if config.control == "auto" else f"{place}.{os.getpid()}"


def nobody() -> Identity | None:
    """Whom the front becomes when root starts it: somebody who owns nothing. None where there is no such user."""
    import pwd  # noqa: PLC0415 (only for root)

    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return None
    return Identity(entry.pw_uid, entry.pw_gid, [entry.pw_gid], entry.pw_name, entry.pw_dir)


def refuse_only_one(arguments: Mapping[str, Any]) -> None:
    """UsageError for what can be meant for one application only."""
    named = [name for name in ONLY_ONE if name in arguments and name != "chdir"]
    if named:
        raise UsageError(
            f"there are several sites, and {BY_NAME[named[0]].flag} names one application",
            "name one of them with --site, or write it below [sites.NAME]",
        )
