"""What people and limits do to the workers while clients ask: reloads, recycling, scaling, a stop, a kill. With each
of them every request gets its own answer.
"""

import os
import signal
import socket

import pytest
from far_client import FarClient, for_root
from raw_client import Client

TIMES = 20


def test_twenty_reloads_lose_no_request(serve, load, tmp_path):
    server = serve()
    site = tmp_path / "under_load.py"
    text = site.read_text()
    with load(server) as clients:
        for generation in range(2, TIMES + 2):
            site.write_text(text.replace('WORD = "one"', f'WORD = "word{generation}"'))
            assert server.command("reload") == (f"generation {generation} serves\n", "", 0)
            clients.go_on()
    clients.check()
    assert f"word{TIMES + 1}" in clients.words


def test_twenty_recyclings_lose_no_request(serve, load):
    server = serve("--max-requests", "100", "--max-requests-jitter", "50")
    with load(server) as clients:
        for _ in range(TIMES):
            server.wait_for(r"worker \d+ \(pid \d+\) has had \d+ requests; starting another in its place")
            server.wait_for(r"\(pid \d+\) has left")
        clients.go_on()
    clients.check()


def test_scaling_up_and_down_loses_no_request(serve, load):
    server = serve(workers=1)
    with load(server) as clients:
        for workers in (4, 1, 3, 2, 1):
            assert server.command("scale", str(workers)) == ("", "", 0)
            clients.go_on()
    clients.check()


def test_a_mold_that_dies_is_replaced_without_a_loss(serve, load):
    server = serve()
    with load(server) as clients:
        os.kill(server.mold(), signal.SIGKILL)
        server.wait_for("the process that loads the application was killed by SIGKILL .*; its workers go on")
        clients.go_on()
        server.send("TTIN")
        third = server.wait_for_worker(3)
        assert third not in server.pids
        clients.go_on()
    clients.check()
    assert not any(f"(pid {pid})" in line for pid in server.pids for line in server.written if "has left" in line)


@pytest.fixture(params=[(), ("setpriv", "--bounding-set=-all")], ids=["as it is", "without rights"])
def wrapper(request):
    """What a server is started with: the system lets root do more with its sockets than others."""
    if request.param and os.geteuid():
        pytest.skip("only root has rights to give up")
    return request.param


@for_root
def test_who_has_begun_to_connect_at_a_stop_is_answered(serve, wrapper):
    server = serve(wrapper=wrapper)
    with FarClient(server.port) as client:
        server.send("TERM")
        server.wait_for("stopping: requests in flight are finished")
        client.hear()
        assert client.ask("/quick").status == 200
    assert server.wait_for_end() == 0


@for_root
def test_who_never_finishes_connecting_does_not_hold_up_a_stop(serve, wrapper):
    server = serve(wrapper=wrapper)
    with FarClient(server.port):
        server.send("TERM")
        assert server.wait_for_end() == 0


def test_a_graceful_stop_loses_no_request(serve, load, wrapper):
    server = serve(wrapper=wrapper)
    with load(server) as clients:
        clients.server_stops = True
        server.send("TERM")
        assert server.wait_for_end() == 0
    clients.check()


def test_an_idle_worker_that_is_killed_takes_no_request_with_it(serve, load):
    server = serve()
    with load(server) as clients:
        with clients.pause():
            os.kill(server.pids[0], signal.SIGKILL)
            server.wait_for(rf"worker 1 \(pid {server.pids[0]}\) was killed by SIGKILL .*; starting another")
        server.wait_for_worker(1)
        clients.go_on()
    clients.check()


def test_a_busy_worker_that_is_killed_takes_only_its_own_requests_with_it(serve, load):
    server = serve()
    with load(server, kept=12, fresh=0) as clients:
        os.kill(server.pids[0], signal.SIGKILL)
        server.wait_for_worker(1)
        clients.go_on()
    assert clients.wrong == []
    assert set(clients.answered) == {200}
    assert {lost.worker for lost in clients.lost} <= {server.pids[0]}
    assert len({lost.client for lost in clients.lost}) == len(clients.lost)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_who_comes_while_requests_are_finished_at_a_stop_is_refused(launch, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)  # the names of unix sockets are short
    server = launch("under_load", "--bind", "127.0.0.1:0" if kind == "tcp" else "unix:site.sock", "--workers", "1")
    place = ("127.0.0.1", server.find_port().port) if kind == "tcp" else "site.sock"
    server.wait_for_worker(1)
    with Client(place) as client:
        assert client.ask("/quick").status == 200
        client.send_request("/sleeps")
        server.send("TERM")
        server.wait_for("stopping: requests in flight are finished")
        with pytest.raises(ConnectionRefusedError):
            while True:
                Client(place).socket.close()
        server.send("TERM")
        assert server.wait_for_end() == 0


def test_a_socket_that_somebody_else_has_opened_outlives_a_stop(launch):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = f"fd://{listening.fileno()}"
        server = launch("under_load", "--bind", place, "--workers", "1", inherits=[listening.fileno()])
        server.wait_for_worker(1)
        server.send("TERM")
        assert server.wait_for_end() == 0
        with Client(listening.getsockname()):
            listening.accept()[0].close()
