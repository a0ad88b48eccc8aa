"""Does what state.py decides: forks, signals, waits, writes lines. Decides nothing itself."""

import contextlib
import heapq
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from penstock import capacity, log
from penstock._native import Scoreboard, version
from penstock.announce import announce
from penstock.config import Config
from penstock.errors import ConfigurationError, PenstockError, from_message
from penstock.processes import Channel, Forked, Message, become_subreaper, describe_status, signals_blocked
from penstock.sockets import Listener, listen_all
from penstock.supervisor import state
from penstock.supervisor.signals import SignalQueue


class Source(Protocol):
    """What the loop can wait for: a socket, mostly."""

    def fileno(self) -> int:
        """Its descriptor."""

    def close(self) -> None:
        """Gives it up; also called in each process that is forked from here."""


class Supervisor:
    """Holds the sockets, the molds and the workers of one `penstock serve`."""

    def __init__(self, config: Config, arguments: Mapping[str, Any], start: str) -> None:
        self.config = config
        self.arguments = arguments
        self.start = start
        self.workers = capacity.count_cpus() if config.workers == "auto" else config.workers
        self.state = state.State(self.workers, config.graceful_timeout)
        self.channels: dict[int, tuple[int, Channel]] = {}  # by descriptor: generation and our end
        self.molds: dict[int, int] = {}  # generation by pid
        self.senders: dict[int, Channel] = {}  # by generation: to the mold that lives
        self.listeners: list[Listener] = []
        self.poll = select.poll()
        self.watched: dict[int, tuple[Source, Callable[[int], None]]] = {}  # by descriptor
        self.timers: list[tuple[float, int, Callable[[], None]]] = []  # a heap: when, a number, what
        self.timers_made = 0
        self.started = time.monotonic()
        self.error: PenstockError | None = None
        self.is_finished = False

    def run(self) -> int:
        """Serves until it is told to stop. Raises PenstockError when the first generation cannot start."""
        is_default = self.config.origin("bind") == "default"
        self.listeners = listen_all(self.config.bind, self.config.backlog, is_default, os.environ)
        try:
            with self.pid_file():
                self.supervise()
        finally:
            self.remove_sockets()
        if self.error:
            raise self.error
        return 0

    def supervise(self) -> None:
        """The loop: wait, collect what happened, decide, act."""
        self.owner = os.getpid()
        become_subreaper()
        self.scoreboard = Scoreboard(2 * self.workers + 16, self.threads)
        # Held open by the supervisor alone: when it ends, however it ends, the kernel tells the workers.
        self.lifeline, self.life = os.pipe()
        self.signals = SignalQueue()
        self.poll.register(self.signals, select.POLLIN)
        if self.config.reload:
            self.start_watcher()
        self.act(self.state.reload(time.monotonic()))
        while not self.is_finished:
            due = min(self.state.next_time(), self.timers[0][0] if self.timers else math.inf)
            wait = due - time.monotonic()
            ready = self.poll.poll(None if math.isinf(wait) else max(0, math.ceil(wait * 1000)))
            numbers = self.signals.read()
            # Reaped first, and told of last: what a process said before it ended is heard before its end is.
            ended = self.reap() if signal.SIGCHLD in numbers else []
            for fd in list(self.channels) if ended else [fd for fd, _ in ready if fd in self.channels]:
                self.listen_to(fd)
            for pid, status in ended:
                self.act(self.tell_end(pid, describe_status(status)))
            for number in numbers:
                self.act(self.tell_signal(number))
            self.act(self.state.tick(time.monotonic()))
            for fd, events in ready:
                if fd in self.watched:
                    self.watched[fd][1](events)
            self.run_timers()
        self.signals.close()

    # -- for the control socket and the admin server, which live in this loop

    def watch(self, source: Source, callback: Callable[[int], None], events: int = select.POLLIN) -> None:
        """Has the loop call `callback` with the events of select.poll when they occur; again to wait for others."""
        self.watched[source.fileno()] = (source, callback)
        self.poll.register(source.fileno(), events)

    def unwatch(self, source: Source) -> None:
        """Ends watch(); to be called before the source is closed."""
        del self.watched[source.fileno()]
        self.poll.unregister(source.fileno())

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """Has the loop call `callback` once, at a time of time.monotonic() or soon after."""
        self.timers_made += 1
        heapq.heappush(self.timers, (when, self.timers_made, callback))

    def run_timers(self) -> None:
        """Calls what is due."""
        while self.timers and self.timers[0][0] <= time.monotonic():
            heapq.heappop(self.timers)[2]()

    def snapshot(self) -> dict[str, Any]:
        """What there is, for those who only look: see admin/status.py. Times are those of time.monotonic()."""
        return {
            "version": version(),
            "pid": os.getpid(),
            "uptime": time.monotonic() - self.started,
            "addresses": [listener.url for listener in self.listeners],
            "generation": self.state.serving,
            "is_ready": any(worker.takes_requests for worker in self.state.workers.values()),
            "is_stopping": self.state.is_stopping,
            "restarts": {},
            "threads": self.threads,
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
        }

    @property
    def threads(self) -> int:
        """Threads of a worker."""
        return capacity.THREADS if self.config.threads == "auto" else int(self.config.threads)

    # -- events

    @staticmethod
    def reap() -> list[tuple[int, int]]:
        """The children that have ended: pid and status."""
        ended = []
        with contextlib.suppress(ChildProcessError):
            while (child := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                ended.append(child)
        return ended

    def tell_end(self, pid: int, ending: str) -> list[state.Action]:
        """A process of ours has ended: a mold, a worker, or an orphan that nobody asks for."""
        now = time.monotonic()
        if pid in self.molds:
            generation = self.molds.pop(pid)
            self.senders.pop(generation, None)
            return self.state.mold_exited(generation, ending, now)
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
                return self.state.scale(1 if number == signal.SIGTTIN else -1, now)
            case signal.SIGUSR1:
                log.journal.reopen()
                return self.state.reopen_logs()
        return []

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

    def tell(self, generation: int, message: Message) -> list[state.Action]:
        """One message of a mold or a worker."""
        now = time.monotonic()
        match message["event"]:
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

    def act(self, actions: list[state.Action]) -> None:
        """Does what was decided, in order."""
        for action in actions:
            match action:
                case state.StartMold(generation, preload):
                    self.start_mold(generation, preload)
                case state.StopMold(generation):
                    for pid in [pid for pid, one in self.molds.items() if one == generation]:
                        send_signal(pid, signal.SIGTERM)
                case state.StartWorker(generation, number, workers):
                    self.scoreboard_clear(number)
                    self.senders[generation].send({"number": number, "workers": workers})
                case state.Signal(pid, name):
                    send_signal(pid, signal.Signals["SIG" + name])
                case state.SignalMolds(name):
                    for pid in self.molds:
                        send_signal(pid, signal.Signals["SIG" + name])
                case state.Log(level, message):
                    log.journal.write(level, message)
                case state.Announce(facts):
                    announce(self.config, self.listeners, self.state.wanted, self.threads, facts)
                case state.Finish(error):
                    self.error = from_message(error) if error else None
                    self.is_finished = True

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
                from penstock.mold import Mold  # noqa: PLC0415 (the supervisor itself stays small)

                self.signals.close()
                os.close(self.life)
                for channel in (ours, *(channel for _, channel in self.channels.values())):
                    channel.close()
                for source, _ in self.watched.values():
                    source.close()
                mold = Mold(
                    config=self.config,
                    arguments=self.arguments,
                    start=self.start,
                    generation=generation,
                    preload=preload,
                    listeners=self.listeners,
                    scoreboard=self.scoreboard,
                    lifeline=self.lifeline,
                    channel=theirs,
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
                self.signals.close()
                os.close(self.life)
                from penstock.watcher import Watcher  # noqa: PLC0415 (development only)

                raise Forked(Watcher(self.config, self.lifeline).run)

    def scoreboard_clear(self, number: int) -> None:
        """Empties a worker's slot, if there are so many."""
        with contextlib.suppress(IndexError):
            self.scoreboard.clear(number - 1)

    # -- what lies about in the file system

    @contextlib.contextmanager
    def pid_file(self) -> Any:
        """Keeps our pid in a file while we run."""
        path = self.config.pid_file
        if path:
            try:
                with open(path, "w") as file:
                    file.write(f"{os.getpid()}\n")
            except OSError as error:
                raise ConfigurationError(f"pid_file {path} cannot be written: {error.strerror}") from error
        try:
            yield
        finally:
            if path and os.getpid() == self.owner:
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def remove_sockets(self) -> None:
        """Removes the unix sockets that we made; a forked child leaves them alone."""
        if os.getpid() == self.owner:
            for listener in self.listeners:
                if listener.path:
                    with contextlib.suppress(OSError):
                        os.unlink(listener.path)


def send_signal(pid: int, number: int) -> None:
    """Signals a child, which may have ended just now."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
