"""Hands the listening sockets over to a new supervisor: another version of Penstock, or of its Python.

The old one goes on until the new one says that a worker is ready; then it stops gracefully. When the new one cannot
start, nothing has changed. Nothing but the sockets is handed over: the new one reads its configuration itself. The
parent of several sites does the same, and says besides which of them have to serve before it goes.
"""

import json
import os
import select
import socket
import sys
from typing import TYPE_CHECKING, Any

from penstock import log
from penstock.errors import PenstockError
from penstock.processes import INHERITED, Channel
from penstock.sites.child import adopt
from penstock.sockets import Listener
from penstock.supervisor.state import sentence, unexpected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.supervisor.keeper import Decided, Keeper


def pack(listener: Listener) -> list[int | str | bool]:
    """A listener for unpack() in another process, which inherits its descriptor under the same number."""
    return [listener.socket.fileno(), *listener[1:]]


def unpack(fd: int, *others: Any) -> Listener:
    """The listener that pack() was called with."""
    return Listener(adopt(fd), *others)


def start_successor(
    supervisor: "Keeper",
    on_decided: "Decided",
    is_stopping: bool,
    more: "Mapping[str, Any] | None" = None,
    fds: "Sequence[int]" = (),
) -> None:
    """Has a supervisor start the one that is to follow it, with `more` to tell it, and more descriptors.

    Raises PenstockError when there is no time for that, or the system refuses.
    """
    if supervisor.successor:
        raise PenstockError(f"a new supervisor (pid {supervisor.successor.pid}) is being started already")
    if is_stopping:
        raise PenstockError("the supervisor is stopping")
    supervisor.successor = Successor(supervisor, on_decided, more or {}, fds)
    log.info(f"upgrading: a new supervisor (pid {supervisor.successor.pid}) is being started")


class Successor:
    """The new supervisor, seen from the old one."""

    def __init__(
        self,
        supervisor: "Keeper",
        on_decided: "Decided",
        more: "Mapping[str, Any]",
        fds: "Sequence[int]",
    ) -> None:
        """Starts it. PenstockError when the system refuses."""
        import subprocess  # noqa: PLC0415 (few supervisors are ever replaced)

        self.supervisor, self.on_decided = supervisor, on_decided
        self.channel, theirs = Channel.pair()
        listeners = (*supervisor.listeners, *supervisor.admin_listeners)
        told = json.dumps(
            {
                "channel": theirs.end.fileno(),
                "listeners": [pack(one) for one in supervisor.listeners],
                "admin_listeners": [pack(one) for one in supervisor.admin_listeners],
                **more,
            }
        )
        inherited = [theirs.end.fileno(), *fds, *(one.socket.fileno() for one in listeners)]
        try:
            process = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                env=os.environ | {INHERITED: told} | supervisor.notifier.variables,
                cwd=supervisor.start,
                pass_fds=inherited,
            )
        except OSError as error:
            self.channel.close()
            raise PenstockError(f"a new supervisor cannot be started: {error.strerror}") from error
        finally:
            theirs.close()
        self.pid = process.pid
        process.returncode = 0  # the loop reaps it, like everybody
        supervisor.watch(self.channel.end, self.listen, select.POLLIN)

    def listen(self, _: int) -> None:
        """Hears that it is ready, or why not, or that it has ended without a word."""
        message = self.channel.receive()
        self.supervisor.unwatch(self.channel.end)
        is_ready = message is not None and message["event"] == "ready"
        if is_ready:
            self.supervisor.notifier.hand_over(self.pid)
        self.channel.close()
        self.supervisor.successor = None
        if is_ready:
            log.info(f"the new supervisor (pid {self.pid}) has taken over")
            self.on_decided(None)
            self.supervisor.hand_over()
            return
        error = message["error"] if message else unexpected(f"the new one (pid {self.pid}) ended without a word")
        log.error(f"the upgrade failed, this supervisor goes on: {sentence(error)}")
        self.on_decided(error)


class Heir:
    """What a new supervisor has from the old one."""

    def __init__(self, told: str) -> None:
        message = json.loads(told)
        self.channel = Channel(socket.socket(fileno=message["channel"]))
        os.set_inheritable(self.channel.end.fileno(), False)
        self.listeners = [unpack(*packed) for packed in message["listeners"]]
        self.admin_listeners = [unpack(*packed) for packed in message["admin_listeners"]]
        self.message = message  # with what only the parent of several sites says
        self.inboxes = [adopt(fd) for fd in message.get("inboxes", ())]

    def take_over(self, supervisor: "Keeper") -> None:
        """A worker is ready: the old one may go. It closes the channel once it has named us to the service manager."""
        self.channel.send({"event": "ready"})

        def hear_end(_: int) -> None:
            supervisor.unwatch(self.channel.end)
            self.channel.close()
            supervisor.be_heard()

        supervisor.watch(self.channel.end, hear_end)

    def give_up(self, error: PenstockError) -> None:
        """Tells the old one why it has to go on."""
        self.channel.send({"event": "failed", "error": error.to_message()})
        self.channel.close()
