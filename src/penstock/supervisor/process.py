"""Does what state.py decides: forks, signals, waits, writes lines. Decides nothing itself."""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from penstock import capacity, log
from penstock._native import Scoreboard, version
from penstock.admin.control import ControlServer
from penstock.admin.totals import Totals
from penstock.announce import announce
from penstock.config import Config
from penstock.errors import ConfigurationError, PenstockError, from_message
from penstock.privileges import Identity, give_logs, identity_of
from penstock.processes import (
    Channel,
    Forked,
    Message,
    describe_status,
    memory_of,
    reap,
    send_signal,
    signals_blocked,
)
from penstock.sockets import Listener, listen_all, refuse_open_uwsgi, unnamed
from penstock.supervisor import state
from penstock.supervisor.keeper import Decided, Keeper
from penstock.supervisor.limits import limits_of
from penstock.supervisor.load import Reading
from penstock.supervisor.stacks import Stacks
from penstock.systemd import Phase

if TYPE_CHECKING:
    from penstock.admin.statsd import Sender
    from penstock.companions.process import Companions
    from penstock.sites.child import Parent

# The least number of workers that there is room for, those that leave included: an unused slot costs no memory.
SLOTS = 64

AS_ROOT = "serving as root: the application may do whatever root may; --user NAME serves as somebody else"


class Supervisor(Keeper):
    """Holds the sockets, the molds and the workers of one `penstock serve`."""

    def __init__(
        self, config: Config, arguments: Mapping[str, Any], start: str, parent: "Parent | None" = None
    ) -> None:
        super().__init__(config, arguments, start)
        self.parent = parent
        limits = limits_of(config)
        self.slots = max(SLOTS, 4 * limits.most_workers)
        self.state = state.State(limits, self.slots, lambda: os.urandom(1)[0] / 255)
        self.channels: dict[int, tuple[int, Channel]] = {}  # by descriptor: generation and our end
        self.molds: dict[int, int] = {}  # generation by pid
        self.senders: dict[int, Channel] = {}  # by generation: to the mold that lives
        self.totals = Totals()
        self.control = ControlServer(self)
        self.statsd: Sender | None = None
        self.companions: Companions | None = None
        self.waiting: dict[int, list[Decided]] = {}  # by generation: who wants to know what comes of its trial
        self.identity: Identity | None = None  # whom molds and workers become
        self.setback = ""  # what kept the last reload from serving
        self.error: PenstockError | None = None

    def serve(self) -> int:
        """Serves until it is told to stop. Raises PenstockError when the first generation cannot start."""
        self.identity = identity_of(self.config)
        if self.config.umask:
            os.umask(int(self.config.umask, 8))
        if self.parent:
            self.listeners = self.parent.listeners
        else:
            self.listeners = self.heir.listeners if self.heir else self.listen()
        self.listen_for_admin()
        self.supervise()
        if self.error and self.parent:
            return self.error.exit_code  # the parent says why
        if self.error:
            raise self.error
        return 0

    def listen(self) -> list[Listener]:
        """Binds; when nobody named an address, what systemd has passed is taken instead."""
        addresses = self.config.bind
        unasked = unnamed(self.passed, addresses + self.config.admin_bind)
        if unasked and self.config.origin("bind") == "default":
            addresses, unasked = unasked, []
        listeners = listen_all(addresses, self.config.backlog, self.passed)
        refuse_open_uwsgi(listeners, self.config.uwsgi_allow)
        for listener in listeners:
            if self.identity and listener.path:
                os.chown(listener.path, self.identity.uid, self.identity.gid, follow_symlinks=False)
        if unasked:
            log.warning(f"systemd has passed sockets that nobody asks for: {', '.join(unasked)}")
        return listeners

    def supervise(self) -> None:
        """The loop: wait, collect what happened, decide, act."""
        self.prepare()
        self.scoreboard = Scoreboard(self.slots, self.threads)
        # Held open by the supervisor alone: when it ends, however it ends, the kernel tells the workers.
        self.lifeline, self.life = os.pipe()
        if self.identity:
            os.fchown(self.lifeline, self.identity.uid, self.identity.gid)  # workers open it anew
        self.give_logs()
        self.stacks = Stacks(self)
        if self.config.reload:
            self.start_watcher()
        if self.parent:
            self.parent.attach(self)
        if not self.heir:
            self.be_found()
            self.notifier.feed_watchdog(self.call_at)
        self.act(self.state.reload(time.monotonic()))
        while not self.is_finished:
            ready = self.wait_until(self.state.next_time())
            numbers = self.signals.read()
            # Reaped first, and told of last: what a process said before it ended is heard before its end is.
            ended = reap() if signal.SIGCHLD in numbers else []
            for fd in list(self.channels) if ended else [fd for fd, _ in ready if fd in self.channels]:
                self.listen_to(fd)
            # Before the ends: a TERM for the whole process group is why the mold ends as well.
            for number in numbers:
                try:
                    self.act(self.tell_signal(number))
                except PenstockError as error:
                    log.warning(f"{signal.Signals(number).name} changes nothing: {error.message}")
            for pid, status in ended:
                self.act(self.tell_end(pid, describe_status(status)))
                if self.companions:
                    self.companions.tell_end(pid, status)
            self.act(self.state.tick(time.monotonic()))
            self.call_back(ready)
        if self.statsd:
            self.statsd.finish()
        self.signals.close()

    def be_found(self) -> None:
        """As every keeper, and by what tells of us: the admin server, StatsD."""
        super().be_found()
        if self.admin_listeners:
            from penstock.admin.http import AdminServer  # noqa: PLC0415 (off by default)

            self.admin = AdminServer(self, self.admin_listeners)
            self.admin.start()
        if self.config.statsd:
            from penstock.admin.statsd import Sender  # noqa: PLC0415 (off by default)

            self.statsd = Sender(self, self.config.statsd, self.config.statsd_prefix)
            # Looking its name up may take seconds: the application is loaded meanwhile.
            self.call_at(time.monotonic(), self.statsd.start)

    def notify(self) -> None:
        """Tells the service manager how far we are."""
        current = self.state
        generation = current.serving if current.trial is None else current.trial
        name = "stopping" if current.is_stopping else "ready" if current.trial is None else "reloading"
        phase = Phase(name if current.serving or current.is_stopping else "starting", generation)
        ready = sum(worker.takes_requests for worker in current.workers.values())
        status = f"{phase.name}: generation {generation}, {ready} of {current.wanted} workers{self.setback}"
        self.notifier.tell(phase, status)

    def snapshot(self) -> dict[str, Any]:
        """What there is, for those who only look: see admin/status.py. Times are those of time.monotonic()."""
        return {
            "version": version(),
            "pid": os.getpid(),
            "uptime": time.monotonic() - self.started,
            "addresses": [] if self.parent else [listener.url for listener in self.listeners],
            "generation": self.state.serving,
            "is_ready": any(worker.takes_requests for worker in self.state.workers.values()),
            "is_stopping": self.state.is_stopping,
            "previous": self.state.previous,
            "wanted": self.state.wanted,
            "restarts": dict(self.state.restarts),
            "departed": self.totals.reading,
            "threads": self.threads,
            "molds": [{"generation": generation, "pid": pid} for pid, generation in self.molds.items()],
            "workers": [
                {
                    "number": worker.number,
                    "pid": worker.pid,
                    "generation": worker.generation,
                    "state": worker.state,
                    "started": worker.started,
                    "ready_at": worker.ready_at,
                    "scoreboard": self.scoreboard.read(worker.number - 1),
                }
                for worker in self.state.workers.values()
            ],
            **(self.companions.snapshot() if self.companions else {"processes": [], "jobs": []}),
        }

    @property
    def threads(self) -> int:
        """Threads of a worker."""
        return capacity.THREADS if self.config.threads == "auto" else int(self.config.threads)

    # -- events

    def tell_end(self, pid: int, ending: str) -> list[state.Action]:
        """A process of ours has ended: a mold, a worker, or an orphan that nobody asks for."""
        now = time.monotonic()
        if pid in self.molds:
            generation = self.molds.pop(pid)
            self.senders.pop(generation, None)
            return self.state.mold_exited(generation, ending, now)
        for number in [worker.number for worker in self.state.workers.values() if worker.pid == pid]:
            self.scoreboard_clear(number)
        return self.state.worker_exited(pid, ending, now)

    def tell_signal(self, number: int) -> list[state.Action]:
        """Somebody asks for something."""
        now = time.monotonic()
        match number:
            case signal.SIGTERM | signal.SIGINT | signal.SIGQUIT:
                return self.state.stop(now, at_once=number == signal.SIGQUIT)
            case signal.SIGHUP:
                return self.state.reload(now)
            case signal.SIGTTIN | signal.SIGTTOU:
                return self.state.scale(self.state.wanted + (1 if number == signal.SIGTTIN else -1), now)
            case signal.SIGUSR1:
                log.journal.reopen()
                self.give_logs()
                return self.state.reopen_logs()
            case signal.SIGWINCH if not has_terminal():
                return self.state.rest(now)
            case signal.SIGUSR2:
                self.start_upgrade(lambda _: None)
        return []

    # -- what the control socket asks for. Each raises PenstockError when it cannot be done

    def reload(self, on_decided: Decided) -> None:
        """Tries the application anew; `on_decided` hears what came of it: None, or the error."""
        self.start_trial(self.state.reload(time.monotonic()), on_decided)

    def rollback(self, on_decided: Decided) -> None:
        """Has the previous generation serve again; as reload()."""
        self.start_trial(self.state.rollback(time.monotonic()), on_decided)

    def scale(self, workers: int) -> None:
        """So many workers from now on."""
        self.act(self.state.scale(workers, time.monotonic()))

    def stop(self) -> None:
        """Stops gracefully; when asked again, at once."""
        self.act(self.state.stop(time.monotonic()))

    def restart(self, name: str) -> None:
        """Ends a process beside the web, and starts it again."""
        if not self.companions:
            raise PenstockError("there are no processes beside the web", "the setting processes names them")
        self.companions.restart(name)

    def reopen_logs(self) -> None:
        """Opens the log files anew, in every process."""
        self.act(self.tell_signal(signal.SIGUSR1))

    def collect_stacks(self, on_done: Callable[[list[dict[str, Any]]], None]) -> None:
        """Calls back with the stacks of every worker's Python threads."""
        workers = {w.pid: w.number for w in self.state.workers.values() if w.pid and w.ready_at is not None}

        def tell(texts: dict[int, str]) -> None:
            on_done([{"number": workers[pid], "pid": pid, "stacks": text} for pid, text in texts.items()])

        self.stacks.collect(list(workers), tell)

    def start_upgrade(self, on_decided: Decided) -> None:
        """Starts a new supervisor, to which this one hands its sockets over when it serves."""
        from penstock.supervisor.upgrade import start_successor  # noqa: PLC0415 (few supervisors are ever replaced)

        if self.parent:
            raise PenstockError(
                "one of several sites cannot be upgraded alone", "`penstock upgrade` without a name is for all of them"
            )
        start_successor(self, on_decided, self.state.is_stopping)

    def start_trial(self, actions: list[state.Action], on_decided: Decided) -> None:
        """Keeps who waits for the trial that begins; it may be decided at once."""
        assert self.state.trial is not None, "a trial begins"
        self.waiting.setdefault(self.state.trial, []).append(on_decided)
        self.act(actions)

    def listen_to(self, fd: int) -> None:
        """Takes what a mold and its workers have said."""
        generation, channel = self.channels[fd]
        for message in channel.receive_waiting():
            if message is not None:
                self.act(self.tell(generation, message))
                continue
            self.poll.unregister(fd)
            del self.channels[fd]
            channel.close()

    def tell(self, generation: int, message: Message) -> list[state.Action]:  # noqa: PLR0911 (one for each message)
        """One message of a mold or a worker."""
        now = time.monotonic()
        match message["event"]:
            case "plan":
                self.hear_plan(generation, message["part"])
                return []
            case "releasing":
                return self.state.mold_releasing(generation, message["timeout"], now)
            case "loaded":
                return self.state.mold_loaded(generation, message, now)
            case "failed":
                return self.state.mold_failed(generation, message, now)
            case "forked":
                return self.state.worker_forked(generation, message["number"], message["pid"])
            case "not forked":
                return self.state.worker_not_forked(message["number"], message["reason"], now)
            case "ready":
                return self.state.worker_ready(message["number"], message["pid"], now)
            case "cannot start":
                return self.state.worker_failed(message["number"], message, now)
        raise AssertionError(f"no process of ours says {message['event']!r}")

    # -- actions

    def act(self, actions: list[state.Action]) -> None:  # noqa: PLR0912 (a branch for each action)
        """Does what was decided, in order."""
        if self.notifier.is_heard:
            self.notify()
        for action in actions:
            match action:
                case state.StartMold(generation, preload):
                    self.start_mold(generation, preload)
                case state.StopMold(generation, at_once):
                    for pid in [pid for pid, one in self.molds.items() if one == generation]:
                        send_signal(pid, signal.SIGKILL if at_once else signal.SIGTERM)
                case state.StartWorker(generation, number, workers):
                    self.senders[generation].send({"number": number, "workers": workers})
                case state.Signal(pid, name):
                    send_signal(pid, signal.Signals["SIG" + name])
                case state.SignalMolds(name):
                    for pid in self.molds:
                        send_signal(pid, signal.Signals["SIG" + name])
                case state.HoldOff():
                    self.hold_off(then=lambda: self.act(self.state.held_off()))
                case state.StopCompanions(at_once):
                    if self.companions:
                        self.companions.stop(at_once)
                case state.Log(level, message):
                    log.journal.write(level, message)
                case state.Announce(facts):
                    announce(self.config, self.listeners, self.state.wanted, self.threads, facts)
                    if not os.geteuid() and not self.config.user:
                        log.warning(AS_ROOT)
                case state.Settle(generation, error):
                    self.setback = f"; generation {generation} failed: {error['message']}" if error else ""
                    for on_decided in self.waiting.pop(generation, ()):
                        on_decided(error)
                    if self.parent and generation == 1:
                        self.parent.tell_settled(error)
                    if not error and self.companions:
                        self.companions.serve(generation, self.state.previous)
                    if not error and self.heir:
                        self.take_over(self.heir)
                case state.Look(with_memory):
                    self.act(self.state.observe(self.read_workers(with_memory), time.monotonic()))
                case state.Finish(error):
                    self.error = from_message(error) if error else None
                    self.is_finished = True

    def hear_plan(self, generation: int, part: str) -> None:
        """What is to run beside a generation, once it serves."""
        if not self.companions:
            from penstock.companions.process import Companions  # noqa: PLC0415 (few sites have any)

            self.companions = Companions(self)
            self.state.has_companions = True
        self.companions.hear(generation, part)

    def read_workers(self, with_memory: bool) -> dict[int, Reading]:
        """The counters of the workers that take requests, by number."""
        readings = {}
        for worker in self.state.workers.values():
            if worker.takes_requests and worker.pid:
                board = self.scoreboard.read(worker.number - 1)
                readings[worker.number] = Reading(
                    requests=board["requests"],
                    stuck=board["threads_stuck"],
                    waited=board["queue"]["sum"],
                    taken=board["queue"]["buckets"][-1][1],
                    in_application=board["duration"]["sum"] - board["queue"]["sum"],
                    waiting=board["queue_length"],
                    memory=memory_of(worker.pid) if with_memory else 0,
                )
        return readings

    def leave_behind(self) -> None:
        """In a process forked from here: gives up what is the supervisor's alone."""
        super().leave_behind()
        os.close(self.life)
        for _, channel in self.channels.values():
            channel.close()

    def start_mold(self, generation: int, preload: bool) -> None:
        """Forks a mold, which leaves these frames by way of Forked."""
        ours, theirs = Channel.pair()
        with signals_blocked():
            try:
                pid = os.fork()
            except OSError as error:
                # The system may be short of processes: that must not end what serves.
                self.act(
                    self.state.mold_failed(
                        generation,
                        PenstockError(f"the system refuses a process: {error.strerror}").to_message(),
                        time.monotonic(),
                    )
                )
                self.act(self.state.mold_exited(generation, "", time.monotonic()))
                return
            if not pid:
                from penstock.mold import Mold, listen_to_signals  # noqa: PLC0415 (the supervisor itself stays small)

                self.leave_behind()
                listen_to_signals()  # before they are let in: USR1 to all molds may be on its way already
                ours.close()
                mold = Mold(
                    config=self.config,
                    arguments=self.arguments,
                    start=self.start,
                    generation=generation,
                    preload=preload,
                    is_new=preload and generation == self.state.trial,
                    identity=self.identity,
                    listeners=self.listeners,
                    scoreboard=self.scoreboard,
                    lifeline=self.lifeline,
                    stacks=self.stacks.fd,
                    channel=theirs,
                    parent=self.parent,
                )
                raise Forked(mold.run)
        theirs.close()
        self.molds[pid] = generation
        self.senders[generation] = ours
        self.channels[ours.end.fileno()] = (generation, ours)
        self.poll.register(ours.end, select.POLLIN)

    def start_watcher(self) -> None:
        """Forks the process that asks for a reload when a source file changes."""
        from importlib.util import find_spec  # noqa: PLC0415 (development only)

        if not find_spec("watchfiles"):
            raise ConfigurationError(
                f"reload ({self.config.origin('reload')}) needs watchfiles",
                f"install it with `{sys.executable} -m pip install watchfiles`",
            )
        with signals_blocked():
            if not os.fork():
                self.leave_behind()
                from penstock.watcher import Watcher  # noqa: PLC0415 (development only)

                raise Forked(Watcher(self.config, self.lifeline).run)

    def scoreboard_clear(self, number: int) -> None:
        """Empties the slot of a worker that has gone; what it counted is kept in the totals."""
        self.totals.add(self.scoreboard.read(number - 1))
        self.scoreboard.clear(number - 1)

    # -- what lies about in the file system

    def give_logs(self) -> None:
        """Lets the workers write to the log files, if they are somebody else than we."""
        if self.identity:
            give_logs(self.identity, self.config.error_log, self.config.access_log)


def has_terminal() -> bool:
    """Whether a terminal controls this process: it sends WINCH whenever its window changes."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
