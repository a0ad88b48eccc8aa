"""The admin server: health, metrics and status over HTTP, answered by the supervisor between its other work.

Tiny on purpose: GET and HEAD, one request a connection, no body, everything bounded; nothing here waits or raises.
It has no authentication: bind it where only those who should see it can reach it.
"""

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from penstock import log
from penstock.sockets import Listener

LARGEST_HEAD = 8 * 1024  # what curl, Prometheus and a kubelet send is below 1 KiB; a larger one gets 431
IDLE_TIMEOUT = 10.0  # seconds for the request to arrive and for each step of the answer to be read
MOST_CONNECTIONS = 64  # a few scrapers and probes; the next one takes the place of the oldest
PAUSE = 1.0  # seconds without accepting, when the system refuses

TEXT = "text/plain; charset=utf-8"

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Answer(NamedTuple):
    """What a request gets."""

    status: int
    body: str
    content_type: str = TEXT


class Loop(Protocol):
    """The supervisor's loop, as far as it is needed here."""

    def watch(self, source: socket.socket, callback: Callable[[int], None], events: int = ...) -> None:
        """Calls `callback` when one of the events of select.poll occurs; again for other events."""

    def unwatch(self, source: socket.socket) -> None:
        """Ends watch()."""

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """Calls `callback` once, at a time of time.monotonic()."""

    def snapshot(self) -> dict[str, Any]:
        """What there is."""


def live(_: Mapping[str, Any]) -> Answer:
    """The supervisor runs: this answer is the proof."""
    return Answer(200, "live\n")


def startup(snapshot: Mapping[str, Any]) -> Answer:
    """Whether a worker has ever been ready."""
    return Answer(200, "started\n") if snapshot["generation"] else Answer(503, "starting\n")


def ready(snapshot: Mapping[str, Any]) -> Answer:
    """Whether requests should be sent here."""
    if snapshot["is_stopping"]:
        return Answer(503, "stopping\n")
    return Answer(200, "ready\n") if snapshot["is_ready"] else Answer(503, "no worker is ready\n")


def prometheus(snapshot: Mapping[str, Any]) -> Answer:
    """The metrics."""
    from penstock.admin import metrics  # noqa: PLC0415 (only who scrapes pays for it)

    return Answer(200, metrics.exposition(metrics.observe(snapshot)), metrics.CONTENT_TYPE)


def status(snapshot: Mapping[str, Any]) -> Answer:
    """What `penstock status --json` prints, without the rate: that needs a second look."""
    from penstock.admin.status import describe  # noqa: PLC0415 (as above)

    return Answer(200, json.dumps(describe(snapshot)) + "\n", "application/json")


PATHS = {"/live": live, "/ready": ready, "/startup": startup, "/metrics": prometheus, "/status": status}
NOT_HERE = Answer(404, f"here are {' '.join(PATHS)}\n")


def read_head(data: bytes) -> tuple[str, str] | Answer | None:
    """The method and target of a request, a refusal, or None when more has to arrive."""
    if len(data) > LARGEST_HEAD:
        return Answer(431, "the request head is too large\n")
    if b"\r\n\r\n" not in data:
        return None
    words = data.partition(b"\r\n")[0].decode("latin-1").split(" ")
    if len(words) != 3 or not words[1].startswith("/") or not words[2].startswith("HTTP/1."):
        return Answer(400, "this is no request of HTTP/1.1 for a path\n")
    if words[0] not in ("GET", "HEAD"):
        return Answer(405, "only GET and HEAD are answered here\n")
    return words[0], words[1]


def encode(answer: Answer, has_body: bool = True) -> bytes:
    """The response on the wire."""
    body = answer.body.encode()
    head = (
        f"HTTP/1.1 {answer.status} {REASONS[answer.status]}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"{'Allow: GET, HEAD' if answer.status == 405 else 'Cache-Control: no-store'}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (body if has_body else b"")


class Connection:
    """One client: reads its request, writes the answer, then waits for the client to close, or for the deadline."""

    def __init__(self, client: socket.socket, respond: Callable[[bytes], bytes | None]) -> None:
        self.client, self.respond = client, respond
        self.received = b""
        self.unsent: bytes | None = None  # None: the request is not there yet
        self.deadline = time.monotonic() + IDLE_TIMEOUT

    def go_on(self) -> int | None:
        """Does what can be done now. Returns the events to wait for; None when it is over."""
        try:
            if self.unsent is None:
                self.received += self.receive()
                self.unsent = self.respond(self.received)
                if self.unsent is None:
                    return select.POLLIN
            if self.unsent:
                self.unsent = self.unsent[self.client.send(self.unsent) :]
                self.deadline = time.monotonic() + IDLE_TIMEOUT
                if self.unsent:
                    return select.POLLOUT
                # RFC 9112 9.6: closing with input unread would reset the connection, and the answer with it.
                self.client.shutdown(socket.SHUT_WR)
            self.receive()
        except BlockingIOError:
            return select.POLLOUT if self.unsent else select.POLLIN
        except OSError:
            return None
        return select.POLLIN

    def receive(self) -> bytes:
        """Some bytes; ConnectionError when the client has closed."""
        data = self.client.recv(LARGEST_HEAD + 1)
        if not data:
            raise ConnectionResetError
        return data


class AdminServer:
    """Answers on its listeners, in the supervisor's loop."""

    def __init__(self, loop: Loop, listeners: list[Listener]) -> None:
        self.loop, self.listeners = loop, listeners
        self.connections: dict[socket.socket, Connection] = {}  # the oldest first
        self.accepting: set[socket.socket] = set()
        self.is_sweeping = False
        self.is_closed = False

    def start(self) -> None:
        """Begins to accept."""
        for listener in self.listeners:
            listener.socket.setblocking(False)
            self.accept_from(listener.socket)
            log.info(f"health, metrics and status are at {listener.url}")

    def accept_from(self, listener: socket.socket) -> None:
        """Waits for clients of one listener."""
        if not self.is_closed:
            self.accepting.add(listener)
            self.loop.watch(listener, lambda _: self.accept(listener))

    def refuse_from(self, listener: socket.socket) -> None:
        """Leaves the clients of one listener in its backlog."""
        self.accepting.remove(listener)
        self.loop.unwatch(listener)

    def close(self) -> None:
        """Leaves all new clients to the supervisor that has taken over; the others are answered."""
        self.is_closed = True
        for listener in list(self.accepting):
            self.refuse_from(listener)

    def accept(self, listener: socket.socket) -> None:
        """Takes one client; the loop comes back for the next."""
        try:
            client, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            # Out of descriptors or memory: the listener stays readable, and would keep the loop spinning.
            log.warning(f"the admin server cannot accept: {error.strerror}")
            self.refuse_from(listener)
            self.loop.call_at(time.monotonic() + PAUSE, lambda: self.accept_from(listener))
            return
        client.setblocking(False)
        if len(self.connections) >= MOST_CONNECTIONS:
            self.end(next(iter(self.connections)))
        self.connections[client] = Connection(client, lambda received: self.respond(client, received))
        self.loop.watch(client, lambda _: self.serve(client))
        self.sweep_later()

    def serve(self, client: socket.socket) -> None:
        """Goes on with one client."""
        events = self.connections[client].go_on()
        if events is None:
            self.end(client)
        else:
            self.loop.watch(client, lambda _: self.serve(client), events)

    def respond(self, client: socket.socket, received: bytes) -> bytes | None:  # noqa: ARG002 (see SitesAdminServer)
        """The response to what has been received; None when that is no whole request."""
        head = read_head(received)
        if head is None:
            return None
        if isinstance(head, Answer):
            return encode(head)
        method, target = head
        path = target.partition("?")[0]
        return encode(self.answer(path, lambda: PATHS[path](self.loop.snapshot())), has_body=method == "GET")

    def answer(self, path: str, find: Callable[[], Answer]) -> Answer:
        """What `find` gives for one of the paths; 404 for another, and 500 when it fails."""
        if path not in PATHS:
            return NOT_HERE
        try:
            return find()
        except Exception as error:  # a fault in here must not end what serves the site
            log.error(f"the admin server cannot answer {path!r}: {type(error).__name__}: {error}")
            return Answer(500, "the supervisor's log says why\n")

    def end(self, client: socket.socket) -> None:
        """Closes one connection."""
        del self.connections[client]
        self.loop.unwatch(client)
        with contextlib.suppress(OSError):
            client.close()

    def sweep_later(self) -> None:
        """Has the loop look for clients that are late, as long as there are any."""
        if self.connections and not self.is_sweeping:
            self.is_sweeping = True
            self.loop.call_at(time.monotonic() + IDLE_TIMEOUT, self.sweep)

    def sweep(self) -> None:
        """Closes the connections whose deadline has passed."""
        self.is_sweeping = False
        now = time.monotonic()
        for client in [client for client, connection in self.connections.items() if connection.deadline <= now]:
            self.end(client)
        self.sweep_later()
