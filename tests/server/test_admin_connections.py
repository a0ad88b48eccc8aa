"""The admin server's connections and StatsD's packets, with a loop whose events and time the test makes."""

import socket
import time

import pytest

from penstock.admin import http
from penstock.admin.http import PATHS, AdminServer, Answer
from penstock.admin.statsd import Sender
from penstock.sockets import Listener

SNAPSHOT = {
    "version": "0.1.0",
    "uptime": 20.0,
    "generation": 2,
    "is_ready": True,
    "is_stopping": False,
    "restarts": {},
    "departed": {},
    "workers": [],
}


class Loop:
    """A loop whose events and time the test makes."""

    def __init__(self):
        self.watched = {}
        self.timers = []

    def watch(self, source, callback, _events=0):
        self.watched[source] = callback

    def unwatch(self, source):
        del self.watched[source]

    def call_at(self, _when, callback):
        self.timers.append(callback)

    def snapshot(self):
        return SNAPSHOT

    def turn(self):
        """One turn in which everything is ready."""
        for source, callback in list(self.watched.items()):
            if source in self.watched:
                callback(0)

    def run_timers(self):
        due, self.timers = self.timers, []
        for callback in due:
            callback()


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def server(loop):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = AdminServer(loop, [Listener(listening, "tcp", "127.0.0.1", str(listening.getsockname()[1]), "")])
        server.start()
        yield server
        for connection in list(server.connections):
            server.end(connection)


@pytest.fixture
def connect(server, loop):
    clients = []

    def make():
        clients.append(socket.create_connection(server.listeners[0].socket.getsockname()))
        loop.turn()
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def read_all(client):
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_a_request_that_comes_in_pieces_is_answered_once(connect, loop):
    client = connect()
    for piece in (b"GET /live HT", b"TP/1.1\r\nHost: x\r\n", b"\r\nGET /ready HTTP/1.1\r\n\r\n"):
        client.sendall(piece)
        loop.turn()
    assert read_all(client).count(b"HTTP/1.1 ") == 1


def test_a_connection_ends_when_the_client_has_closed(connect, loop, server):
    client = connect()
    client.sendall(b"GET /live HTTP/1.1\r\n\r\n")
    loop.turn()
    assert read_all(client).endswith(b"\r\n\r\nlive\n")
    assert server.connections
    client.close()
    loop.turn()
    assert not server.connections


def test_an_answer_leaves_as_the_client_reads_it(connect, loop, server, monkeypatch):
    monkeypatch.setitem(PATHS, "/large", lambda _: Answer(200, "x" * 20_000_000))
    client = connect()
    client.sendall(b"GET /large HTTP/1.1\r\n\r\n")
    loop.turn()
    [connection] = server.connections.values()
    assert connection.unsent
    received = 0
    while data := client.recv(1 << 20):
        received += len(data)
        loop.turn()
    assert received > 20_000_000


def test_more_connections_than_there_is_room_for_take_the_oldest_ones_place(connect, server, loop, monkeypatch):
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 2)
    oldest, second, third = connect(), connect(), connect()
    assert len(server.connections) == 2
    assert oldest.recv(1) == b""
    for client in (second, third):
        client.sendall(b"GET /live HTTP/1.1\r\n\r\n")
        loop.turn()
        assert b"200 OK" in read_all(client)


def test_a_client_that_is_late_is_closed(connect, server, loop):
    late, young = connect(), connect()
    [first, second] = server.connections.values()
    first.deadline = 0.0
    loop.run_timers()
    assert list(server.connections.values()) == [second]
    assert late.recv(1) == b""
    young.sendall(b"GET /live HTTP/1.1\r\n\r\n")
    loop.turn()
    assert read_all(young)
    assert loop.timers, "the sweep comes back while there are connections"


def test_bytes_that_trickle_in_do_not_move_the_deadline(connect, server, loop):
    client = connect()
    [connection] = server.connections.values()
    before = connection.deadline
    client.sendall(b"G")
    loop.turn()
    assert connection.received == b"G"
    assert connection.deadline == before <= time.monotonic() + http.IDLE_TIMEOUT


def test_a_fault_in_an_answer_is_500_and_a_line_in_the_log(connect, loop, monkeypatch, capfd):
    monkeypatch.setitem(PATHS, "/live", lambda _: 1 / 0)
    client = connect()
    client.sendall(b"GET /live HTTP/1.1\r\n\r\n")
    loop.turn()
    assert read_all(client).startswith(b"HTTP/1.1 500 ")
    assert "cannot answer '/live': ZeroDivisionError: division by zero" in capfd.readouterr().err


def test_an_unknown_path_is_404_and_names_the_known_ones(connect, loop):
    client = connect()
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    loop.turn()
    answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"/live /ready /startup /metrics /status" in answer


def test_a_listener_that_cannot_accept_is_left_alone_for_a_while(server, loop, capfd):
    class Exhausted:
        def accept(self):
            raise OSError(24, "Too many open files")

    listener = Exhausted()
    server.accept_from(listener)
    loop.turn()
    assert listener not in loop.watched
    assert "cannot accept: Too many open files" in capfd.readouterr().err
    loop.run_timers()
    assert listener in loop.watched


def test_a_server_that_has_handed_over_accepts_nobody(server, loop):
    server.close()
    assert not loop.watched


def test_reports_go_to_the_server_again_and_again():
    loop = Loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(60)
        sender = Sender(loop, f"127.0.0.1:{server.getsockname()[1]}", "site")
        sender.start()
        loop.timers.pop()()
        assert b"site.generation:2|g" in server.recv(65536)
        assert len(loop.timers) == 1
        sender.socket.close()


def test_a_server_that_is_not_there_disturbs_nobody():
    loop = Loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
    sender = Sender(loop, address, "site")
    sender.start()
    for _ in range(3):
        loop.timers.pop()()
    assert len(loop.timers) == 1
    sender.socket.close()


def test_a_name_that_nobody_knows_is_a_warning_and_sends_nothing(capfd):
    loop = Loop()
    Sender(loop, "no-such-host.invalid:8125", "site").start()
    assert (
        "warning no metrics are sent: statsd no-such-host.invalid:8125 cannot be reached: " in capfd.readouterr().err
    )
    assert loop.timers == []
