"""Keeps the listening socket, and replaces the process that serves when a file changes. Never loads the project.

The next child is forked from here, and this process has loaded by then what every child needs (the standard library
and Django): so a project is back within a fraction of a second, and a request that comes in between waits.
"""

import contextlib
import importlib
import importlib.util
import os
import select
import signal
import sys
import termios
import time
from typing import Any

from penstock import log
from penstock.development import terminal
from penstock.development.address import listen
from penstock.development.child import Child
from penstock.development.plan import Plan
from penstock.development.watching import Watching, is_code
from penstock.processes import Channel, Forked, Message, describe_status, signals_blocked
from penstock.sockets import Listener, adopt

PATIENCE = 2  # seconds that a child gets to leave: ten times its own grace
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Process:
    """A child of this process: the one that serves, or the one that watches."""

    def __init__(self, pid: int, channel: Channel) -> None:
        self.pid, self.channel = pid, channel
        self.pidfd = os.pidfd_open(pid)

    def end(self, number: signal.Signals) -> int:
        """Ends it, by force after PATIENCE. Returns how it ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)
            if not select.select([self.pidfd], [], [], PATIENCE)[0]:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        """Its status, once it has ended."""
        _, status = os.waitpid(self.pid, 0)
        self.let_go()
        return status

    def let_go(self) -> None:
        """Closes what this process has of it."""
        os.close(self.pidfd)
        self.channel.close()


class Reloader:
    """The process that the developer has started."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.listener: Listener
        self.child: Process | None = None
        self.watchers: list[Process] = []  # the last one is the best; others serve until it is ready
        self.watched: list[str] = []
        self.is_over = False
        self.is_first = True  # until the project has been served
        self.is_broken = False
        self.has_started = False  # once a child has been ready
        self.has_watcher = False  # once one has been
        self.is_said = False
        self.changed_at = 0.0
        self.to_preload: list[str] = []
        self.loaded = loaded_files()
        self.terminal = terminal_settings()

    def run(self) -> int:
        """Serves and reloads until Ctrl-C, or another signal that ends."""
        self.listener = adopt(self.plan.fd, 0) if self.plan.fd >= 0 else listen(self.plan.address, self.plan.command)
        wakeup = self.listen_to_signals()
        self.watch([self.plan.directory, *own_places()])
        self.start_child()
        while not self.is_over:
            ready = self.wait(wakeup)
            if wakeup in ready:
                os.read(wakeup, 4096)
            for watcher in [watcher for watcher in self.watchers if watcher.channel.end.fileno() in ready]:
                for message in watcher.channel.receive_waiting():
                    self.hear_watcher(watcher, message)
            if self.child and self.child.channel.end.fileno() in ready:
                for message in self.child.channel.receive_waiting():
                    self.hear_child(message)
            if self.child and self.child.pidfd in ready:
                self.bury_child()
            if not ready and self.to_preload:
                self.preload_one()
        self.end_all()
        self.listener.socket.close()
        return 0

    def listen_to_signals(self) -> int:
        """Returns the descriptor that can be read when a signal has come."""
        reader, writer = os.pipe()
        for fd in (reader, writer):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

        def stop(*_: object) -> None:
            self.is_over = True

        for number in STOPS:
            signal.signal(number, stop)
        return reader

    def wait(self, wakeup: int) -> set[int]:
        """The descriptors on which something has happened."""
        fds = [wakeup, *(watcher.channel.end.fileno() for watcher in self.watchers)]
        if self.child:
            fds += [self.child.channel.end.fileno(), self.child.pidfd]
        return set(select.select(fds, [], [], 0 if self.to_preload else None)[0])

    def fork(self, role: Any) -> Process:
        """Starts a process with a role, which gets its end of a channel."""
        ours, theirs = Channel.pair()
        with signals_blocked():
            pid = os.fork()
            if not pid:
                ours.close()
                for process in (self.child, *self.watchers):
                    if process:
                        process.let_go()
                raise Forked(role(theirs).run)
        theirs.close()
        return Process(pid, ours)

    def start_child(self) -> None:
        """Starts the process that serves."""
        self.child = self.fork(lambda channel: Child(self.plan, self.listener, channel, self.is_first))

    def watch(self, places: list[str]) -> None:
        """Has these places watched as well; a new process does, until then the present one goes on."""
        self.watched = outermost([*self.watched, *places])

        def watching(channel: Channel) -> Watching:
            self.listener.socket.close()
            return Watching(self.watched, channel)

        self.watchers.append(self.fork(watching))

    def hear_watcher(self, watcher: Process, message: Message | None) -> None:
        """What a watcher says; None when it has gone."""
        if message is None:
            if watcher is self.watchers[-1]:
                terminal.say("changes are no longer noticed: nobody watches the files", terminal.RED)
            self.watchers.remove(watcher)
            watcher.wait()
        elif "paths" in message:
            self.change(message["paths"])
        else:
            older = self.watchers[: self.watchers.index(watcher)]
            for process in older:
                process.end(signal.SIGTERM)
                self.watchers.remove(process)
            self.has_watcher = True
            self.say_what_is_watched()

    def hear_child(self, message: Message | None) -> None:
        """What the child says; None when it has gone."""
        if message is None:
            return
        if message["event"] == "ready":
            self.is_broken, self.has_started = message["is_broken"], True
            if not self.is_broken:
                if not self.is_first:
                    terminal.say(f"reloaded in {time.monotonic() - self.changed_at:.2f} s", terminal.GREEN)
                self.is_first = False
            self.say_what_is_watched()
        elif message["event"] == "restart":
            self.replace_child(message["paths"])
        else:
            self.to_preload = [name for name in message["modules"] if name not in sys.modules]
            if outermost([*self.watched, *message["places"]]) != self.watched:
                self.watch(message["places"])

    def say_what_is_watched(self) -> None:
        """Says once, when both are there, that the project is watched as well as served."""
        if self.has_started and self.has_watcher and not self.is_said:
            self.is_said = True
            terminal.say("watching for changes")

    def change(self, paths: list[str]) -> None:
        """Something was saved: the child shall see to it, or make way for the next one."""
        if not self.child or self.is_broken or any(map(is_code, paths)):
            self.replace_child(paths)
        else:
            self.child.channel.send({"paths": paths})

    def replace_child(self, paths: list[str]) -> None:
        """Ends the child, and starts the next one."""
        self.changed_at = time.monotonic()
        names = sorted({os.path.basename(path) for path in paths})
        terminal.say(", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") + " changed")
        for path in paths:
            forget_compiled(path)
        self.end_child(signal.SIGHUP)
        if not self.loaded.isdisjoint(map(os.path.realpath, paths)):
            self.start_anew()
        self.start_child()

    def preload_one(self) -> None:
        """One module at a time, so that what happens meanwhile is heard."""
        preload(self.to_preload.pop())
        if not self.to_preload:
            self.loaded = loaded_files()

    def start_anew(self) -> None:
        """Becomes a new reloader, on the same socket: something has changed that this process has loaded itself."""
        self.end_all()
        os.set_inheritable(self.listener.socket.fileno(), True)
        plan = self.plan._replace(fd=self.listener.socket.fileno())
        os.execv(sys.executable, [sys.executable, *interpreter_flags(), "-m", __package__, plan.pack()])

    def bury_child(self) -> None:
        """The child has ended, and nobody has asked it to."""
        assert self.child, "a child is buried once"
        status = self.child.wait()
        self.child = None
        restore_terminal(self.terminal)
        terminal.say(f"the server {describe_status(status)}; waiting for a change", terminal.RED)

    def end_child(self, number: signal.Signals) -> None:
        """Ends the child; a debugger may have left the terminal without echo."""
        if self.child:
            self.child.end(number)
            self.child = None
            restore_terminal(self.terminal)

    def end_all(self) -> None:
        """Ends every process but this one."""
        self.end_child(signal.SIGTERM)
        for watcher in self.watchers:
            watcher.end(signal.SIGTERM)
        self.watchers = []


def preload(name: str) -> None:
    """Loads a module that the next child will need, unless it cannot do without the project's settings."""
    settings = os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    before = set(sys.modules)
    try:
        importlib.import_module(name)
    except Exception as error:
        log.debug(f"{name} is not loaded ahead: {error}")
        # Half of a package would have the project import the other half in another order.
        for half in set(sys.modules) - before:
            forget(half)
    finally:
        if settings is not None:
            os.environ["DJANGO_SETTINGS_MODULE"] = settings


def forget(name: str) -> None:
    """Undoes the import of a module."""
    module = sys.modules.pop(name)
    package, _, attribute = name.rpartition(".")
    if getattr(sys.modules.get(package), attribute, None) is module:
        delattr(sys.modules[package], attribute)


def loaded_files() -> set[str]:
    """The source files of all that this process has loaded."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {os.path.realpath(file) for file in files if file}


def own_places() -> list[str]:
    """The directories that the developer has added to the module path, as PYTHONPATH does."""
    installed = tuple(f"{os.path.realpath(prefix)}{os.sep}" for prefix in (sys.prefix, sys.base_prefix))
    return [place for place in sys.path if os.path.isdir(place) and not os.path.realpath(place).startswith(installed)]


def forget_compiled(path: str) -> None:
    """Removes what Python has compiled of a file: it compares whole seconds, and people save twice in one."""
    if path.endswith(".py"):
        with contextlib.suppress(OSError, NotImplementedError):
            os.unlink(importlib.util.cache_from_source(path))


def outermost(places: list[str]) -> list[str]:
    """The places that lie in no other one."""
    kept: list[str] = []
    for place in sorted(set(places)):
        if not any(place.startswith(above.rstrip(os.sep) + os.sep) for above in kept):
            kept.append(place)
    return kept


def interpreter_flags() -> list[str]:
    """The -W and -X with which this Python was started."""
    options = [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in sys._xoptions.items()]
    return [f"-W{option}" for option in sys.warnoptions] + options


def terminal_settings() -> list[Any] | None:
    """How the terminal is set; None when standard input is none."""
    return termios.tcgetattr(0) if os.isatty(0) else None


def restore_terminal(settings: list[Any] | None) -> None:
    """Sets the terminal as it was."""
    if settings:
        # From the background, the system would stop whoever sets it.
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, settings)
        signal.signal(signal.SIGTTOU, before)
