"""The control socket: the supervisor's ear for `penstock status`, `reload` and the others. Never blocks its loop.

One JSON object on a line is a question, `{"command": "scale", "workers": 3}`; the answer is one line too:
`{"ok": true, …}`, or `{"ok": false, "error": {…}}` as PenstockError.to_message gives it. Only the supervisor's own
user and root are heard.
"""

import contextlib
import json
import os
import select
import socket
import struct
from typing import TYPE_CHECKING, Any

from penstock import log
from penstock.admin.place import is_answered, path_for
from penstock.errors import PenstockError, UsageError, nearest

if TYPE_CHECKING:
    from penstock.supervisor.process import Supervisor

LONGEST_QUESTION = 4096  # bytes; no command needs a hundred
MOST_CLIENTS = 32

Answer = dict[str, Any]


def question_of(line: bytes) -> Answer:
    """The question on a line. UsageError when it is none."""
    try:
        question = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError("the control socket speaks JSON, one object a line") from error
    if not isinstance(question, dict):
        raise UsageError("the control socket speaks JSON, one object a line")
    return question


def error_answer(error: dict[str, str]) -> Answer:
    """The answer to what failed."""
    return {"ok": False, "error": error}


class ControlServer:
    """The listening socket and its clients, in the supervisor's loop."""

    def __init__(self, supervisor: Any, client_kind: "type[Client] | None" = None) -> None:
        self.supervisor = supervisor
        self.client_kind = client_kind or Client
        self.clients: set[Client] = set()
        self.path = ""
        self.identity = (0, 0)
        self.listening: socket.socket | None = None

    def open(self) -> None:
        """Begins to listen; says so in one line when it cannot, because serving does not need it."""
        if self.supervisor.parent:
            self.adopt(self.supervisor.parent.legacy.control)
            return
        if self.supervisor.config.control == "off":
            return
        try:
            self.path = path_for(self.supervisor.config)
            self.listening = self.bind()
        except OSError as error:
            reason = error.strerror or str(error)
            log.info(f"there is no control socket: {reason} (--control PATH names another place, off none)")
            return
        self.supervisor.watch(self.listening, self.accept)

    def bind(self) -> socket.socket:
        """A socket that nobody else may open, in the place of one that was left or handed over."""
        if os.path.lexists(self.path) and not self.supervisor.is_heir and is_answered(self.path):
            raise FileExistsError(0, f"{self.path} belongs to another process")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.setblocking(False)
        temporary = f"{self.path}.{os.getpid()}"
        before = os.umask(0o177)
        try:
            listening.bind(temporary)
            listening.listen()
            os.rename(temporary, self.path)
        except OSError:
            listening.close()
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        finally:
            os.umask(before)
        self.identity = identity_of(self.path)
        return listening

    def adopt(self, listening: socket.socket | None) -> None:
        """Listens on a socket of the parent of several sites, who removes it too."""
        if listening:
            listening.setblocking(False)
            self.listening = listening
            self.supervisor.watch(listening, self.accept)

    def close(self) -> None:
        """Hears nobody new, and removes the socket, unless it is another supervisor's by now."""
        if self.listening:
            self.supervisor.unwatch(self.listening)
            self.listening.close()
            self.listening = None
            with contextlib.suppress(OSError):
                if identity_of(self.path) == self.identity:
                    os.unlink(self.path)

    def accept(self, _: int) -> None:
        """Takes a client in, if it may speak."""
        assert self.listening is not None, "it is watched"
        try:
            client, _ = self.listening.accept()
        except OSError:
            return
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        user = struct.unpack("3i", credentials)[1]
        if user not in (0, os.geteuid()) or len(self.clients) >= MOST_CLIENTS:
            client.close()
            return
        self.clients.add(self.client_kind(self, client))


def identity_of(path: str) -> tuple[int, int]:
    """What tells a file from another one under the same name."""
    found = os.lstat(path)
    return found.st_dev, found.st_ino


class Client:
    """Somebody who asks: one question after the other."""

    supervisor: "Supervisor"

    def __init__(self, server: ControlServer, connection: socket.socket) -> None:
        self.server, self.connection = server, connection
        self.supervisor = server.supervisor
        self.received = b""
        self.unsent = b""
        connection.setblocking(False)
        self.supervisor.watch(connection, self.go_on)

    def go_on(self, events: int) -> None:
        """Reads what there is, or writes what is left."""
        if events & select.POLLOUT:
            self.write()
            return
        try:
            data = self.connection.recv(LONGEST_QUESTION)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.received += data
        if not data or len(self.received) > LONGEST_QUESTION:
            self.leave()
            return
        while b"\n" in self.received:
            line, _, self.received = self.received.partition(b"\n")
            try:
                self.hear(question_of(line))
            except PenstockError as error:
                self.answer(error_answer(error.to_message()))

    def hear(self, question: Answer) -> None:
        """Does what is asked. Raises PenstockError when it cannot be done."""
        supervisor = self.supervisor
        match question.get("command"):
            case "status":
                self.answer({"ok": True, **supervisor.snapshot()})
            case "reload":
                supervisor.reload(self.decided)
            case "rollback":
                supervisor.rollback(self.decided)
            case "upgrade":
                supervisor.start_upgrade(self.decided)
            case "stop":
                self.answer({"ok": True})
                supervisor.stop()
            case "scale":
                workers = question.get("workers")
                if not isinstance(workers, int):
                    raise UsageError("scale needs a number of workers")
                supervisor.scale(workers)
                self.answer({"ok": True})
            case "restart":
                supervisor.restart(str(question.get("name")))
                self.answer({"ok": True})
            case "reopen-logs":
                supervisor.reopen_logs()
                self.answer({"ok": True})
            case "stacks":
                supervisor.collect_stacks(lambda workers: self.answer({"ok": True, "workers": workers}))
            case other:
                known = (
                    "status",
                    "reload",
                    "rollback",
                    "upgrade",
                    "stop",
                    "scale",
                    "restart",
                    "reopen-logs",
                    "stacks",
                )
                raise UsageError(f"there is no command {other!r}", nearest(str(other), known))

    def decided(self, error: dict[str, str] | None) -> None:
        """Answers when it has turned out whether a generation serves."""
        serving = {"ok": True, "generation": self.supervisor.state.serving}
        self.answer(error_answer(error) if error else serving)

    def answer(self, answer: Answer) -> None:
        """Sends a line, now and as the client reads."""
        if self in self.server.clients:
            self.unsent += json.dumps(answer).encode() + b"\n"
            self.write()

    def write(self) -> None:
        """Sends what the client takes, and waits for it to take the rest."""
        try:
            self.unsent = self.unsent[self.connection.send(self.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.leave()
            return
        events = select.POLLIN | (select.POLLOUT if self.unsent else 0)
        self.supervisor.watch(self.connection, self.go_on, events)

    def leave(self) -> None:
        """Forgets the client."""
        self.server.clients.discard(self)
        self.supervisor.unwatch(self.connection)
        self.connection.close()
