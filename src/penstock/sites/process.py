"""The parent of several sites: does what state.py decides. Loads no application, and decides nothing itself.

It binds the addresses, starts the front, which knows whose each request is, and one ordinary supervisor for each site.
"""

import contextlib
import os
import signal
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from penstock import log
from penstock._native import version
from penstock.admin.control import ControlServer
from penstock.admin.place import path_for
from penstock.announce import block
from penstock.config import ONLY_ONE, Config, keep_fixed, load
from penstock.errors import ConfigurationError, PenstockError, UsageError, nearest
from penstock.processes import describe_status, reap, send_signal
from penstock.settings import BY_NAME, TABLE, belongs_in
from penstock.sites import state
from penstock.sites.control import SitesClient
from penstock.sites.front_handle import FrontHandle
from penstock.sites.log_files import refuse_shared_logs
from penstock.sites.routing import Rule, losers, rules_for, rules_of, table_of
from penstock.sites.site_handle import SiteHandle
from penstock.sites.watching import DirectoryWatch
from penstock.sites.world import give_logs_anew
from penstock.sockets import listen_all
from penstock.supervisor.keeper import Decided, Keeper
from penstock.supervisor.state import sentence
from penstock.systemd import Phase

if TYPE_CHECKING:
    from penstock._native import SiteRule

PAUSE = 0.1  # seconds without a change that end a save: several files may be written at once

# Keys that say which requests are a site's: the front has to know them, the site itself has not.
ROUTING = frozenset({"hosts", "default"})
# What only a restart of the parent changes.
FIXED = frozenset(one.name for one in TABLE if not one.reloads and not belongs_in(one, "sites"))


class Sites(Keeper):
    """Holds the addresses, the front and the supervisors of all sites of one `penstock serve`."""

    def __init__(self, config: Config, arguments: Mapping[str, Any], start: str) -> None:
        super().__init__(config, arguments, start)
        self.state = state.State()
        self.sites: dict[str, SiteHandle] = {}
        self.rules: list[Rule] = []
        self.sites_made = 0
        self.front = FrontHandle(self)
        self.control = ControlServer(self, SitesClient)
        self.control_base = ""  # what the names of the sites' control sockets begin with
        self.waiting: dict[str, list[Decided]] = {}  # by site: who wants to know whether it comes up
        self.is_stopping = False
        self.is_changed = False  # files have changed, and are read when no more do

    def serve(self) -> int:
        """Serves until it is told to stop. Raises PenstockError when the configuration is wrong."""
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
        if self.heir:
            self.listeners = self.heir.listeners
        else:
            self.listeners = listen_all(self.config.bind, self.config.backlog, self.passed)
        self.listen_for_admin()
        self.supervise(configs)
        return 0

    @property
    def to_come_up(self) -> list[str]:
        """The sites that have to serve here before the parent that is to be replaced may go."""
        return self.heir.message["up"] if self.heir else []

    def supervise(self, configs: Mapping[str, Config]) -> None:
        """The loop: wait, collect what happened, decide, act."""
        self.prepare()
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
            # As in Supervisor: what a process said before it ended is heard before its end is, and a TERM for all too.
            ended = reap() if signal.SIGCHLD in numbers else []
            self.call_back(ready)
            for number in numbers:
                try:
                    self.tell_signal(number)
                except PenstockError as error:
                    log.warning(f"{signal.Signals(number).name} changes nothing: {error.message}")
            for pid, status in ended:
                self.tell_end(pid, describe_status(status))
            self.act(self.state.tick(time.monotonic()))
            if self.heir and not self.front.pid and self.state.have_come_up(self.to_come_up) and not self.is_stopping:
                self.front.start()
        self.signals.close()

    def be_found(self) -> None:
        """As every keeper, and by the admin server."""
        super().be_found()
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
                self.sites[name] = SiteHandle(self, name, self.sites_made, self.front.free_slot(), config)
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

    # -- whose a request is

    def route(self) -> None:
        """Has the front and the sites route as is configured now; who loses requests to another site has to know."""
        before = self.rules
        self.rules = rules_for({name: one.config for name, one in self.sites.items() if not self.is_leaving(name)})
        if self.front.pid:
            self.front.route()
        elif not self.heir:  # whose sites are not up yet, while another front serves
            self.front.start()
        if self.rules == before:
            return
        for handle in self.sites.values():
            if handle.channel:
                handle.channel.send({"routes": self.table()})
        for name in losers(before, self.rules):
            if name in self.state.sites and self.state.sites[name].state == "up":
                log.info(f"the site {name} reloads: some of its requests are another site's now")
                self.act(self.state.change(name, False, time.monotonic()))

    def is_leaving(self, name: str) -> bool:
        """Whether a site is there only to finish its requests."""
        return name in self.state.sites and self.state.sites[name].is_removed

    def table(self) -> "list[SiteRule]":
        """The rules, as the engines of all sites have them."""
        return table_of(self.rules, {name: handle.number for name, handle in self.sites.items()})

    # -- events

    def tell_end(self, pid: int, ending: str) -> None:
        """A process of ours has ended: a front, a site's supervisor, or an orphan that nobody asks for."""
        now = time.monotonic()
        if pid == self.front.pid:
            self.front.tell_end(ending)
            if self.is_stopping:
                self.act(self.state.stop_all(now))
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
        for message in handle.hear():
            match message["event"]:
                case "ready":
                    self.act(self.state.ready(handle.name, now))
                    self.settle(handle.name, None)
                case "failed":
                    self.act(self.state.failed(handle.name, sentence(message["error"])))
                    self.settle(handle.name, message["error"])
                case "idle":
                    self.act(self.state.rests(handle.name, now))

    # -- what the control socket asks for. Each raises PenstockError when it cannot be done

    def reload(self, reloads: bool) -> None:
        """Reads the configuration anew; with `reloads` every site loads its code anew too."""
        self.refuse_to_begin()
        log.info("reloading: the configuration" + (" and every site" if reloads else ""))
        self.reconfigure(reloads)

    def start_site(self, name: str, on_decided: Decided) -> None:
        """Starts a site that rests, failed or was stopped; `on_decided` hears what came of it."""
        self.find(name)
        self.refuse_to_begin()
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
        if self.is_stopping or at_once or not self.front.pid:
            at_once = at_once or self.is_stopping
            self.is_stopping = True
            self.front.stop_at_once()
            self.act(self.state.stop_all(time.monotonic(), at_once=at_once))
            return
        self.is_stopping = True
        self.hold_off(then=self.front.stop)

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

    def reopen_logs(self, name: str | None = None) -> None:
        """Opens the log files anew: those of one site, or all, in every process."""
        if name is None:
            log.journal.reopen()
            self.front.reopen_logs()
        for handle in self.sites.values() if name is None else [self.find(name)]:
            if handle.pid:
                with contextlib.suppress(PenstockError):  # its user has gone: said when the site is started
                    give_logs_anew(handle.config)
                send_signal(handle.pid, signal.SIGUSR1)

    def refuse_to_begin(self) -> None:
        """PenstockError when everything ends: what would begin now would never be told to."""
        if self.is_stopping:
            raise PenstockError("the supervisor is stopping")

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
            "front": self.front.facts(),
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
                    "connections": self.front.connections_of(handle),
                }
                for name, handle in self.sites.items()
            ],
        }

    # -- actions

    def act(self, actions: list[state.Action]) -> None:
        """Does what was decided, in order."""
        for action in actions:
            match action:
                case state.Start(name):
                    self.start_supervisor(self.sites[name])
                case state.Signal(name, signal_name):
                    if self.sites[name].pid:
                        send_signal(self.sites[name].pid, signal.Signals["SIG" + signal_name])
                case state.Open(name) | state.Hold(name) | state.Shut(name):
                    self.front.turn(name, type(action))
                case state.Await(name):
                    self.sites[name].await_request()
                case state.Forget(name):
                    self.forget(self.sites.pop(name))
                case state.Log(level, message):
                    log.journal.write(level, message)
                case state.Finish():
                    self.is_finished = True
        self.notify()

    def start_supervisor(self, handle: SiteHandle) -> None:
        """Starts a site; one that cannot be started has ended at once."""
        try:
            handle.start()
        except PenstockError as error:
            told = error.to_message()
            self.act(self.state.failed(handle.name, sentence(told)))
            self.settle(handle.name, told)
            self.act(self.state.exited(handle.name, "", time.monotonic()))

    def forget(self, handle: SiteHandle) -> None:
        """Gives up what is kept for a site that has left."""
        handle.close()
        self.front.forget(handle.name)
        gone = PenstockError(f"the site {handle.name} is no longer configured")
        self.settle(handle.name, gone.to_message())

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
        super().leave_behind()
        for handle in self.sites.values():
            handle.leave_behind()

    def clean_up(self) -> None:
        """Removes what we made."""
        super().clean_up()
        for handle in self.sites.values():
            handle.close()


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


def refuse_only_one(arguments: Mapping[str, Any]) -> None:
    """UsageError for what can be meant for one application only."""
    named = [name for name in ONLY_ONE if name in arguments and name != "chdir"]
    if named:
        raise UsageError(
            f"there are several sites, and {BY_NAME[named[0]].flag} names one application",
            "name one of them with --site, or write it below [sites.NAME]",
        )
