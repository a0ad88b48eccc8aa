"""The supervisor with real processes: every test starts `penstock serve` on port 0 and reads its log to know."""

import http.client
import os
import re
import signal
import socket
import sys
import threading
import time
from collections import Counter

import pytest
from hello_site import hello
from running_penstock import OWN_CODE, PATIENCE

TAKING_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0)
os.execv(sys.argv[2], sys.argv[2:])
"""


# Its response to /late waits in a file when the deadline passes, and goes on afterwards.
ENDS_BY_SIGPIPE = """
import signal, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
hello = application

def late(start_response):
    start_response("200 OK", [])
    yield bytes(10_000_000)
    try:
        while True:
            pass
    except BaseException:
        print("goes on", file=sys.stderr, flush=True)
    yield bytes(1000)

def application(environ, start_response):
    return late(start_response) if environ["PATH_INFO"] == "/late" else hello(environ, start_response)
"""


def test_every_worker_answers_and_everybody_leaves_with_a_term(serve):
    server = serve(workers=2)
    assert int(server.get().removeprefix("one from ")) in server.pids
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert server.log.endswith("stopped\n")


def test_connections_that_stay_are_shared_by_the_workers(serve):
    server = serve(workers=2)
    until = time.monotonic() + PATIENCE
    while len({server.get() for _ in range(4)}) < 2:  # a worker is ready a moment before it listens
        assert time.monotonic() < until
    connections = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE) for _ in range(32)]
    shares: Counter[bytes] = Counter()
    for connection in connections:
        connection.request("GET", "/")
        shares[connection.getresponse().read()] += 1
    # The one that the kernel wakes first would have them all, and the other one nothing to do.
    assert len(shares) == 2 and min(shares.values()) >= 8, shares
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("name", ["INT", "QUIT"])
def test_int_and_quit_end_it_cleanly_too(serve, name):
    server = serve()
    server.send(name)
    assert server.wait_for_end() == 0


def test_a_signal_to_the_whole_terminal_ends_it_cleanly(serve):
    server = serve(workers=2)
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.wait_for_end() == 0
    assert "exited with" not in server.log


def test_a_worker_that_is_killed_is_replaced(serve):
    server = serve()
    os.kill(server.pids[0], signal.SIGKILL)
    server.wait_for(rf"worker 1 \(pid {server.pids[0]}\) was killed by SIGKILL .*; starting another in 0.1 s")
    replacement = server.wait_for_worker(1)
    assert server.get() == f"one from {replacement}"


def test_a_worker_whose_application_wants_to_end_by_sigpipe_survives_a_client_that_is_gone(serve):
    server = serve("--timeout", "500ms", source=hello("one") + ENDS_BY_SIGPIPE)
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        client.sendall(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
        # The deadline ends the response; its next piece finds a connection to which nothing can be written.
        server.wait_for("goes on")
    assert server.get() == f"one from {server.pids[0]}"


def test_workers_go_on_without_their_mold_and_get_another_when_they_need_it(serve):
    server = serve()
    os.kill(server.mold(), signal.SIGKILL)
    server.wait_for("the process that loads the application was killed by SIGKILL .*; its workers go on")
    assert server.get() == f"one from {server.pids[0]}"
    os.kill(server.pids[0], signal.SIGKILL)
    assert server.get() == f"one from {server.wait_for_worker(1)}"


def test_workers_leave_when_the_supervisor_is_killed(serve):
    server = serve(workers=2)
    server.process.kill()
    # Standard error ends when the last process that holds it has left.
    assert server.wait_for_end() == -signal.SIGKILL


def test_a_reload_serves_the_new_code(serve, tmp_path):
    server = serve(workers=2)
    tmp_path.joinpath("hello.py").write_text(hello("two"))
    server.send("HUP")
    server.wait_for(r"generation 2 takes over from generation 1")
    server.wait_until_left(*server.pids)
    assert server.get().startswith("two from ")


def test_a_reload_of_broken_code_keeps_the_old_code_and_says_why(serve, tmp_path):
    server = serve()
    tmp_path.joinpath("hello.py").write_text("def (\n")
    server.send("HUP")
    server.wait_for(r"generation 2 failed, generation 1 serves on: hello cannot be imported: invalid syntax")
    assert server.get() == f"one from {server.pids[0]}"
    tmp_path.joinpath("hello.py").write_text(hello("three"))
    server.send("HUP")
    server.wait_until_left(*server.pids)
    assert server.get().startswith("three from ")


def test_a_reload_loses_no_request(serve, tmp_path):
    server = serve(workers=2)
    answers = []
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            try:
                answers.append(server.get())
            except (OSError, http.client.HTTPException) as error:
                answers.append(repr(error))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        tmp_path.joinpath("hello.py").write_text(hello("two"))
        server.send("HUP")
        server.wait_until_left(*server.pids)
    finally:
        stop.set()
        asking.join(PATIENCE)
    assert answers
    assert [answer for answer in answers if not re.fullmatch(r"(one|two) from \d+", answer)] == []


def test_a_reload_reads_the_file_anew(serve, tmp_path):
    server = serve()
    tmp_path.joinpath("penstock.toml").write_text("[server]\nbacklog = 7\n[site]\nthreads = 16\n")
    server.send("HUP")
    server.wait_for("a reload does not change backlog, threads: restart Penstock for that")
    server.wait_for(r"generation 2 takes over")


def test_workers_are_added_and_removed_by_signal(serve):
    server = serve()
    server.send("TTIN")
    second = server.wait_for_worker(2)
    server.send("TTOU")
    server.wait_until_left(second)
    server.send("TTOU")
    assert server.get() == f"one from {server.pids[0]}"


def test_winch_retires_the_workers_and_a_reload_brings_them_back(serve):
    server = serve(workers=2)
    server.send("WINCH")
    server.wait_until_left(*server.pids)
    server.send("HUP")
    assert server.get() in [f"one from {pid}" for pid in server.wait_for_workers(1, 2)]


def test_a_stale_pid_file_is_replaced(serve, tmp_path):
    tmp_path.joinpath("run.pid").write_text("1\n")
    server = serve("--pid-file", "run.pid")
    assert tmp_path.joinpath("run.pid").read_text() == f"{server.process.pid}\n"


def test_a_change_of_the_terminals_size_retires_nobody(serve, tmp_path):
    # A terminal of its own for the session that the server leads.
    ours, theirs = os.openpty()
    wrapper = [sys.executable, "-c", TAKING_A_TERMINAL, str(theirs)]
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    try:
        server = serve(inherits=[theirs], wrapper=wrapper)
        server.send("WINCH")
        server.send("USR1")
        server.wait_for("log files are opened anew")
        assert server.get() == f"one from {server.pids[0]}"
        assert "retire" not in server.log
        server.send("TERM")
        assert server.wait_for_end() == 0
    finally:
        os.close(ours)
        os.close(theirs)


def test_usr1_opens_the_log_anew(launch, tmp_path):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        place = f"fd://{listening.fileno()}"
        server = launch("hello", "--bind", place, "--error-log", "error.log", inherits=[listening.fileno()])
        server.port = listening.getsockname()[1]
    assert server.get().startswith("one from")
    tmp_path.joinpath("error.log").rename(tmp_path / "error.log.1")
    server.send("USR1")
    # Whichever of the two signals is heard first, both are heard before the end.
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert "is ready" in tmp_path.joinpath("error.log.1").read_text()
    assert "log files are opened anew" in tmp_path.joinpath("error.log").read_text()
    assert tmp_path.joinpath("error.log").read_text().endswith("stopped\n")


def test_an_application_with_threads_is_loaded_by_each_worker(serve):
    source = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True, name='ticker').start()\n"
    server = serve(source=source + hello("one"))
    assert "loading the application started threads (ticker): each worker loads it for itself" in server.log
    assert server.get() == f"one from {server.pids[0]}"


def test_an_application_that_cannot_be_loaded_ends_the_start_with_a_clear_error(launch, tmp_path):
    tmp_path.joinpath("hello.py").write_text("import surely_missing\n")
    server = launch("hello", "--bind", "127.0.0.1:0")
    assert server.wait_for_end() == 1
    assert server.log.startswith(
        "error: hello cannot be imported: ModuleNotFoundError: No module named 'surely_missing'\n\n"
    )
    assert "\n\nhint: install it for " in server.log
    assert OWN_CODE not in server.log


def test_workers_that_die_before_they_are_ready_end_the_start(launch, tmp_path):
    dying = "import os\nos.register_at_fork(after_in_child=lambda: os._exit(3))\n"
    tmp_path.joinpath("hello.py").write_text(dying + hello("one"))
    server = launch("hello", "--bind", "127.0.0.1:0")
    assert server.wait_for_end() == 1
    assert (
        "error: worker 1 cannot be forked: the process between the mold and the worker exited with status 3"
        in server.log
    )


def test_an_address_in_use_names_who_holds_it(serve, launch):
    first = serve()
    second = launch("hello", "--bind", f"127.0.0.1:{first.port}")
    assert second.wait_for_end() == 3
    assert f"the address is in use by pid {first.process.pid} (" in second.log
    assert "hint: stop that process, or choose another address with --bind" in second.log


def test_a_unix_socket_is_served_and_removed_at_the_end(launch, tmp_path):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    server = launch("hello", "--bind", "unix:site.sock", "--workers", "1")
    server.wait_for_worker(1)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "site.sock"))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"one from" in b"".join(iter(lambda: client.recv(4096), b""))
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert not tmp_path.joinpath("site.sock").exists()


def test_a_unix_socket_that_somebody_serves_is_in_use(launch, tmp_path):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    launch("hello", "--bind", "unix:site.sock").wait_for_worker(1)
    second = launch("hello", "--bind", "unix:site.sock")
    assert second.wait_for_end() == 3
    assert "another process does" in second.log


def test_a_unix_socket_that_a_dead_process_left_is_replaced(launch, tmp_path):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "site.sock"))
    server = launch("hello", "--bind", "unix:site.sock")
    server.wait_for_worker(1)


def test_a_file_in_the_place_of_a_unix_socket_is_left_alone(launch, tmp_path):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    tmp_path.joinpath("site.sock").write_text("precious")
    server = launch("hello", "--bind", "unix:site.sock")
    assert server.wait_for_end() == 3
    assert tmp_path.joinpath("site.sock").read_text() == "precious"


def test_an_inherited_socket_is_served(tmp_path, launch):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = launch("hello", "--bind", f"fd://{listening.fileno()}", inherits=[listening.fileno()]).find_port()
    assert server.get().startswith("one from")


def test_the_pid_file_is_there_while_it_runs(serve, tmp_path):
    server = serve("--pid-file", "run.pid")
    assert tmp_path.joinpath("run.pid").read_text() == f"{server.process.pid}\n"
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert not tmp_path.joinpath("run.pid").exists()


def test_a_change_of_source_reloads_when_asked_for(serve, tmp_path):
    pytest.importorskip("watchfiles", reason="--reload is for development and needs watchfiles")
    server = serve("--reload")
    server.wait_for("watching")
    tmp_path.joinpath("hello.py").write_text(hello("two"))
    server.wait_for(r"hello\.py changed")
    server.wait_until_left(*server.pids)
    assert server.get().startswith("two from")
