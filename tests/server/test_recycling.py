"""Workers that are replaced while they serve, and the deadlines of requests, with real processes."""

import contextlib
import http.client
import socket
import textwrap

import pytest


def test_a_worker_is_replaced_after_its_requests_and_nobody_notices(serve):
    server = serve("--max-requests", "3")
    for _ in range(3):
        assert server.get() == f"one from {server.pids[0]}"
    server.wait_for(r"worker 1 \(pid \d+\) has had 3 requests; starting another in its place")
    second = server.wait_for_worker(2)
    server.wait_until_left(*server.pids)
    assert server.get() == f"one from {second}"


def test_a_worker_is_replaced_after_its_lifetime(serve):
    server = serve("--max-lifetime", "100ms")
    server.wait_for("has served for .* s; starting another in its place")
    server.wait_until_left(*server.pids)


def test_a_worker_that_uses_too_much_memory_is_replaced(serve):
    server = serve("--max-memory", "1MiB")
    server.wait_for(r"worker 1 \(pid \d+\) uses \d+ MiB; starting another in its place")
    server.wait_until_left(*server.pids)


def test_a_worker_that_uses_far_too_much_memory_is_killed(serve):
    server = serve("--max-memory-hard", "1MiB")
    server.wait_for(r"worker 1 \(pid \d+\) uses \d+ MiB, more than max_memory_hard; killing it")
    server.wait_until_left(*server.pids)


def test_broken_files_do_not_keep_a_worker_from_being_replaced(serve, tmp_path):
    server = serve("--max-requests", "1")
    tmp_path.joinpath("hello.py").write_text("def (\n")
    server.get()
    second = server.wait_for_worker(2)
    server.wait_until_left(*server.pids)
    assert server.get() == f"one from {second}"


HANGS = """
    import ctypes, os, time

    def wait_in_python():
        time.sleep(3600)

    def wait_in_c():
        ctypes.PyDLL(None).sleep(3600)

    def loop():
        while True:
            pass

    def application(environ, start_response):
        {"/sleep": wait_in_python, "/grip": wait_in_c, "/loop": loop}.get(environ["PATH_INFO"], str)()
        start_response("200 OK", [])
        return [f"one from {os.getpid()}".encode()]
"""
QUICK = ("--timeout", "300ms", "--timeout-grace", "300ms", "--graceful-timeout", "0s")


@pytest.fixture
def impatient(serve):
    return serve(*QUICK, source=textwrap.dedent(HANGS))


def ask(server, path):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def test_a_view_that_loops_gets_an_exception_and_its_worker_stays(impatient):
    assert ask(impatient, "/loop") == 504
    impatient.wait_for(r"error +GET /loop has passed its deadline after 0\.\d s; the client gets 504")
    impatient.wait_for("in loop")
    assert impatient.get() == f"one from {impatient.pids[0]}"


def test_a_view_that_never_comes_back_has_its_worker_replaced(impatient):
    assert ask(impatient, "/sleep") == 504
    impatient.wait_for("GET /sleep has passed its deadline")
    impatient.wait_for("in wait_in_python")
    impatient.wait_for("GET /sleep does not stop")
    impatient.wait_for(r"worker 1 \(pid \d+\) has a thread that does not come back; starting another in its place")
    second = impatient.wait_for_worker(2)
    impatient.wait_until_left(*impatient.pids)
    assert impatient.get() == f"one from {second}"


def test_a_view_that_keeps_the_gil_is_found_too_and_its_worker_killed(impatient):
    assert ask(impatient, "/grip") == 504
    impatient.wait_for("in wait_in_c")
    second = impatient.wait_for_worker(2)
    impatient.wait_for(r"worker 1 \(pid \d+\) does not leave; killing it")
    impatient.wait_until_left(*impatient.pids)
    assert impatient.get() == f"one from {second}"


def test_a_slow_request_is_logged_with_its_stack_and_answered(serve):
    source = HANGS.replace("time.sleep(3600)", "time.sleep(0.4)")
    server = serve("--slow-request-log", "100ms", source=textwrap.dedent(source))
    assert ask(server, "/sleep") == 200
    server.wait_for(r"warning +GET /sleep is slow, 0\.\d s so far")
    server.wait_for("in wait_in_python")


def test_a_worker_is_added_when_requests_wait_for_a_thread(launch, tmp_path):
    tmp_path.joinpath("hello.py").write_text(textwrap.dedent(HANGS))
    bounds = ("--workers", "1..2", "--threads", "1", "--timeout", "0s")
    server = launch("hello", "--bind", "127.0.0.1:0", *bounds).find_port()
    server.wait_for_worker(1)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            client.sendall(b"GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
        server.wait_for("2 workers are wanted now: requests wait for long")
        server.wait_for_worker(2)
