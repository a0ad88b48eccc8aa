"""What a supervisor and the parent of several sites are both: who keeps the sockets, until a successor has them.

Knows nothing of the processes below, which is what each of the two adds.
"""

import contextlib
import gc
import os
import select
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from penstock import capacity, log
from penstock.admin.control import ControlServer
from penstock.config import Config
from penstock.errors import PenstockError
from penstock.processes import (
    INHERITED,
    SETTLED,
    become_subreaper,
    forget_code,
    give_back_memory,
    send_signal,
)
from penstock.sockets import Listener, listen_all
from penstock.supervisor.loop import Loop
from penstock.supervisor.signals import SignalQueue
from penstock.systemd import Notifier, take_passed_sockets

if TYPE_CHECKING:
    from penstock.admin.http import AdminServer
    from penstock.sites.child import Parent
    from penstock.supervisor.upgrade import Heir, Successor

# Seconds at a stop in which the workers accept who waits, before all others are refused. Whoever is not heard asks
# again after one (RFC 6298 2.1).
HELD_OFF = 0.5

# Seconds at a stop, before that, for those who have begun to connect: a client on the other side of the world, whose
# second packet was lost and sent again after one. They are looked for so often; the first time after a packet that
# was just being read has been dealt with.
CONNECTING = 2
LOOK_EVERY = 0.005

# Hears of success (None), or the error as PenstockError.to_message gives it.
Decided = Callable[[dict[str, str] | None], None]


class Keeper(Loop, ABC):
    """Holds the listening sockets, and is found by its pid file, its control socket and the service manager."""

    control: ControlServer
    parent: "Parent | None" = None  # above the supervisor of one of several sites; nobody stands above another

    def __init__(self, config: Config, arguments: Mapping[str, Any], start: str) -> None:
        super().__init__()
        self.config = config
        self.arguments = arguments
        self.start = start
        self.listeners: list[Listener] = []
        self.admin_listeners: list[Listener] = []
        self.admin: AdminServer | None = None
        self.heir: Heir | None = None
        self.is_heir = False
        self.successor: Successor | None = None
        self.has_handed_over = False
        self.started = time.monotonic()
        self.owner = os.getpid()
        self.passed = take_passed_sockets(os.environ, self.owner)
        self.notifier = Notifier(os.environ, self.owner)
        self.is_finished = False

    @abstractmethod
    def serve(self) -> int:
        """Binds, and runs the loop: the exit status. Raises PenstockError when it cannot begin."""

    @abstractmethod
    def stop(self) -> None:
        """Stops gracefully; when asked again, at once."""

    @abstractmethod
    def notify(self) -> None:
        """Tells the service manager how far we are."""

    # -- from the beginning to the end

    def run(self) -> int:
        """Serves until it is told to stop. Raises PenstockError when it cannot begin, and tells whose heir it is."""
        if INHERITED in os.environ:
            from penstock.supervisor.upgrade import Heir  # noqa: PLC0415 (few supervisors are ever replaced)

            self.heir = Heir(os.environ.pop(INHERITED))
            self.is_heir = True
            self.notifier.is_heard = False
        try:
            return self.serve()
        except PenstockError as error:
            if self.heir:
                self.heir.give_up(error)
            raise
        finally:
            if os.getpid() == self.owner:  # and not in a process that was forked from here
                self.clean_up()

    def listen_for_admin(self) -> None:
        """Binds the addresses of the admin server, unless they are inherited."""
        inherited = self.heir.admin_listeners if self.heir else []
        addresses = [] if inherited or self.parent else self.config.admin_bind
        self.admin_listeners = inherited + listen_all(addresses, self.config.backlog, self.passed)

    def prepare(self) -> None:
        """Becomes the parent of orphans, gives back memory that is free by now, and hears signals from here on."""
        become_subreaper()
        give_back_memory()
        self.signals = SignalQueue()
        self.poll.register(self.signals, select.POLLIN)
        self.call_at(time.monotonic() + SETTLED, self.finish_start)

    def finish_start(self) -> None:
        """Does what the start should not wait for."""
        gc.freeze()  # what is here by now is shared with the mold: to look through it would write to it
        gc.enable()
        forget_code()

    def be_found(self) -> None:
        """Writes the pid file and opens the control socket; an heir, when it takes over."""
        self.write_pid()
        self.control.open()

    def write_pid(self) -> None:
        """Keeps our pid in a file while we run, in the place of one that was left; says so when it cannot."""
        path = self.config.pid_file
        if path and not self.parent:
            try:
                with open(path, "w") as file:
                    file.write(f"{os.getpid()}\n")
            except OSError as error:
                log.warning(f"pid_file {path} cannot be written: {error.strerror}")

    def hold_off(self, then: Callable[[], None]) -> None:
        """Lets nobody begin to connect any more, unless somebody else accepts it.

        Calls `then` when those who have begun are connected, or their time is over.
        """
        ours = [] if self.has_handed_over else [listener for listener in self.listeners if listener.is_ours]
        for listener in ours:
            with contextlib.suppress(OSError):  # without it, who comes now is reset when we have left
                listener.hold_off()
        over = time.monotonic() + min(CONNECTING, self.config.graceful_timeout)

        def refuse() -> None:
            for listener in ours:
                listener.refuse()

        def look() -> None:
            now = time.monotonic()
            if now < over and any(listener.is_being_connected_to for listener in ours):
                self.call_at(now + LOOK_EVERY, look)
                return
            self.call_at(now + HELD_OFF, refuse)
            then()

        self.call_at(time.monotonic() + LOOK_EVERY, look)

    def leave_behind(self) -> None:
        """In a process forked from here: gives up what is this one's alone."""
        gc.enable()
        self.signals.close()
        for source, _ in self.watched.values():
            source.close()
        if self.heir:
            self.heir.channel.close()

    def clean_up(self) -> None:
        """Removes what we made, unless another one has it now."""
        self.control.close()
        if self.successor:  # nobody wants it any more
            send_signal(self.successor.pid, signal.SIGTERM)
        if self.config.pid_file and capacity.read_text(self.config.pid_file) == f"{self.owner}\n":
            os.unlink(self.config.pid_file)
        if not self.has_handed_over and not self.heir:
            for listener in (*self.listeners, *self.admin_listeners):
                if listener.path:
                    with contextlib.suppress(OSError):
                        os.unlink(listener.path)

    # -- when one follows another: see upgrade.py

    def hand_over(self) -> None:
        """The new one serves: this one leaves."""
        self.has_handed_over = True
        self.control.close()
        if self.admin:
            self.admin.close()
        self.stop()

    def take_over(self, heir: "Heir") -> None:
        """This one serves: the old one may go."""
        self.be_found()
        heir.take_over(self)
        self.heir = None

    def be_heard(self) -> None:
        """The old one has named this one to the service manager."""
        if self.notifier.address:
            self.notifier.is_heard = True
            self.notify()
            self.notifier.feed_watchdog(self.call_at)
