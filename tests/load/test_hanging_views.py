"""Views that never come back, in each way in which they can, while clients ask: the one request gets 504, its worker
is replaced when it has to be, and the others go on.
"""

from raw_client import Client

QUICK = ("--timeout", "500ms", "--timeout-grace", "500ms", "--graceful-timeout", "2s")


def ask(server, path):
    with Client(("127.0.0.1", server.port)) as client:
        return client.ask(path).status


def test_a_view_that_loops_is_interrupted_and_its_worker_stays(serve, load):
    server = serve(*QUICK)
    with load(server) as clients:
        assert ask(server, "/loops") == 504
        server.wait_for("GET /loops has passed its deadline after .* s; the client gets 504")
        server.wait_for("in loops")
        clients.go_on()
    clients.check()
    assert "starting another" not in server.log


def test_a_view_that_sleeps_for_ever_has_its_worker_replaced(serve, load):
    server = serve(*QUICK)
    with load(server) as clients:
        assert ask(server, "/sleeps") == 504
        server.wait_for("GET /sleeps has passed its deadline")
        server.wait_for("in sleeps")
        server.wait_for(r"\(pid \d+\) has a thread that does not come back; starting another in its place")
        server.wait_for(r"\(pid \d+\) has left")
        clients.go_on()
    clients.check()


def test_a_view_that_keeps_the_gil_has_its_worker_killed_and_nobody_waits_for_that_in_vain(serve, load):
    server = serve(*QUICK)
    with load(server) as clients:
        assert ask(server, "/grips") == 504
        server.wait_for("in grips")
        server.wait_for(r"\(pid \d+\) has .* not come back; starting another in its place")
        server.wait_for(r"\(pid \d+\) does not leave; killing it")
        server.wait_for(r"\(pid \d+\) has left")
        clients.go_on()
    assert (clients.lost, clients.wrong) == ([], [])
    # Those that were in the same worker cannot be answered by its Python any more.
    assert set(clients.answered) <= {200, 503, 504}
    assert clients.answered[200] > 100 * (sum(clients.answered.values()) - clients.answered[200])
