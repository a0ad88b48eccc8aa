"""Views that end their worker, and views that only try to, while clients ask: it is told and replaced, and nobody in
the other workers notices.
"""

import os

import pytest
from raw_client import Client

DEADLY = {
    "/crashes": "was killed by SIGSEGV",
    "/overflows": "was killed by SIGSEGV",
    "/exits": "exited with status 7",
}
HARMLESS = {"/recurses": "RecursionError", "/devours": "MemoryError"}


@pytest.mark.parametrize("path", DEADLY)
def test_a_worker_that_dies_is_told_and_replaced_and_takes_only_its_own_requests_with_it(serve, load, path):
    server = serve()
    with load(server, kept=8, fresh=0) as clients:
        with Client(("127.0.0.1", server.port)) as client:
            worker = int(client.ask("/quick").body.split()[1])
            client.send_request(path)
            assert client.receive() == b""
        server.wait_for(rf"worker \d \(pid {worker}\) {DEADLY[path]}.*; starting another in 0.1 s")
        server.wait_for(r"worker \d \(pid \d+\) is ready")
        clients.go_on()
    assert clients.wrong == []
    assert set(clients.answered) == {200}
    assert {lost.worker for lost in clients.lost} <= {worker}


@pytest.mark.parametrize("path", HARMLESS)
def test_an_error_that_python_survives_is_answered_with_500_and_its_worker_stays(serve, load, path):
    server = serve()
    with load(server) as clients:
        with Client(("127.0.0.1", server.port)) as client:
            worker = int(client.ask("/quick").body.split()[1])
            assert client.ask(path).status == 500
        server.wait_for(HARMLESS[path])
        clients.go_on()
    clients.check()
    os.kill(worker, 0)  # it is there
    assert "starting another" not in server.log
