"""Clients that ask without a pause while something happens to the server, check each answer, and tell what was lost.

A request is lost when the connection is refused, reset or closed before its whole answer has come. A client that finds
its idle connection closed before it has sent anything opens another one, as every client does.
"""

import re
import select
import threading
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import NamedTuple

from raw_client import PATIENCE, Client, Response

# Some wait in the application, some bring a body: at any moment requests are in every state.
KINDS = [("GET", "/quick", b""), ("GET", "/waits", b""), ("GET", "/quick", b""), ("POST", "/quick", b"b" * 3000)]


class Lost(NamedTuple):
    """A request without an answer. `worker` gave the last one on that connection; 0: there was none."""

    client: str
    request: str
    worker: int
    why: str


class AskingClient(threading.Thread):
    """Asks over one connection as long as it lasts, or over a new one each time."""

    def __init__(self, load: "SteadyLoad", name: str, keeps: bool) -> None:
        super().__init__(name=name)
        self.load, self.keeps = load, keeps
        self.turn = threading.Lock()  # held during a request
        self.connection: Client | None = None
        self.worker = 0
        self.answered: dict[int, int] = {}  # requests by status
        self.is_refused = False

    def run(self) -> None:
        for number in count():
            self.load.goes.wait()
            if self.load.is_over:
                break
            with self.turn:
                self.ask(f"{self.name}.{number}", *KINDS[number % len(KINDS)])
            self.load.tell_progress()
            if self.is_refused:
                break
        self.hang_up()

    def ask(self, mark: str, method: str, path: str, body: bytes) -> None:
        """One request. Whatever is wrong with it is told to the load."""
        if self.connection and select.select([self.connection.socket], [], [], 0)[0]:
            self.hang_up()
        try:
            if not self.connection:
                self.connection = Client(("127.0.0.1", self.load.port))
        except ConnectionRefusedError as error:
            if not self.load.server_stops:
                self.load.lost.append(Lost(self.name, f"{method} {path}?{mark}", self.worker, repr(error)))
            self.is_refused = True
            return
        try:
            response = self.connection.ask(f"{path}?{mark}", method=method, body=body)
        except (OSError, AssertionError) as error:
            self.load.lost.append(Lost(self.name, f"{method} {path}?{mark}", self.worker, repr(error)))
            self.hang_up()
            return
        self.answered[response.status] = self.answered.get(response.status, 0) + 1
        if response.status == 200:
            expected = rf"(\w+) (\d+) {path}\?{re.escape(mark)} {body.decode()}"
            match = re.fullmatch(expected, response.body.decode())
            if not match:
                self.load.wrong.append(f"{method} {path}?{mark} was answered with {response.body[:200]!r}")
                return
            self.worker = int(match[2])
            self.load.words.add(match[1])
        if not self.keeps or ("Connection" in response and response["Connection"] == "close"):
            self.hang_up()

    def hang_up(self) -> None:
        if self.connection:
            self.connection.socket.close()
        self.connection, self.worker = None, 0


class SteadyLoad:
    """So many clients that keep their connections, and so many that open a new one for each request."""

    def __init__(self, port: int, kept: int = 4, fresh: int = 2) -> None:
        self.port = port
        self.goes = threading.Event()
        self.goes.set()
        self.is_over = False
        self.server_stops = False  # then a refused connection is the end, and no loss
        self.lost: list[Lost] = []
        self.wrong: list[str] = []
        self.words: set[str] = set()
        self.heard = threading.Condition()
        self.clients = [AskingClient(self, f"kept-{number}", True) for number in range(kept)]
        self.clients += [AskingClient(self, f"fresh-{number}", False) for number in range(fresh)]

    def __enter__(self) -> "SteadyLoad":
        for client in self.clients:
            client.start()
        self.go_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over = True
        self.goes.set()
        for client in self.clients:
            client.join()

    @property
    def answered(self) -> dict[int, int]:
        """Requests by status."""
        total: dict[int, int] = {}
        for client in self.clients:
            for status, number in list(client.answered.items()):
                total[status] = total.get(status, 0) + number
        return total

    def tell_progress(self) -> None:
        """A client has had another answer."""
        with self.heard:
            self.heard.notify_all()

    def go_on(self, answers: int = 8) -> None:
        """Waits until each client has had so many good answers more."""
        targets = {client: client.answered.get(200, 0) + answers for client in self.clients}

        def have_heard() -> bool:
            return all(client.answered.get(200, 0) >= target for client, target in targets.items())

        with self.heard:
            arrived = self.heard.wait_for(have_heard, PATIENCE)
        assert arrived, f"clients get no answers any more: {self.answered}, lost {self.lost[:5]}"

    @contextmanager
    def pause(self):
        """Nobody is in a request meanwhile; kept connections stay open."""
        self.goes.clear()
        with ExitStack() as turns:
            for client in self.clients:
                turns.enter_context(client.turn)
            yield
        self.goes.set()

    def check(self) -> None:
        """Each request has had its own answer, and a good one."""
        assert self.lost == [], self.lost[:5]
        assert self.wrong == [], self.wrong[:5]
        assert set(self.answered) == {200}


def upload_in_chunks(client: Client, path: str, body: bytes) -> Response:
    """A body whose length nobody knows before its end, so that it has to go to a file."""
    client.send_request(path, "Transfer-Encoding: chunked", method="POST")
    client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    return client.response()
