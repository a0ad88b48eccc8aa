"""The admin server, StatsD and the log in its forms, of a real `penstock serve`."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import textwrap
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families
from running_penstock import PATIENCE, servers_in

SOURCE = """
    import os

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/fail":
            raise RuntimeError("asked to")
        if environ["PATH_INFO"] == "/hold":
            os.read(os.open("gate", os.O_RDONLY), 1)
        if environ["PATH_INFO"] == "/die":
            os._exit(5)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]
"""


@pytest.fixture
def start(tmp_path):
    """Starts servers of an application in tmp_path, with the arguments given."""
    tmp_path.joinpath("hello.py").write_text(textwrap.dedent(SOURCE))
    with servers_in(tmp_path) as begin:
        yield lambda *arguments: begin("hello", "--bind", "127.0.0.1:0", "--workers", "1", *arguments)


@pytest.fixture
def server(start):
    """A server that is ready, and its admin server's port."""
    server = start("--admin-bind", "127.0.0.1:0")
    server.admin_port = int(server.wait_for(r"status are at http://127\.0\.0\.1:(\d+)")[1])
    server.find_port()
    server.pids = [server.wait_for_worker(1)]
    return server


def ask(port, path, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def metrics(server):
    """The samples of one scrape by name and labels."""
    status, text = ask(server.admin_port, "/metrics")
    assert status == 200
    families = text_string_to_metric_families(text)
    return {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}


def test_health_is_answered_beside_the_site(server):
    assert ask(server.admin_port, "/live") == (200, "live\n")
    assert ask(server.admin_port, "/startup") == (200, "started\n")
    assert ask(server.admin_port, "/ready") == (200, "ready\n")
    assert ask(server.admin_port, "/ready", "HEAD") == (200, "")
    assert ask(server.admin_port, "/ready", "POST")[0] == 405
    assert server.get("/live") == "hello"


def test_a_server_that_still_loads_is_live_and_neither_started_nor_ready(start, tmp_path):
    os.mkfifo(tmp_path / "gate")
    tmp_path.joinpath("hello.py").write_text("open('gate').read()\n" + textwrap.dedent(SOURCE))
    server = start("--admin-bind", "127.0.0.1:0")
    port = int(server.wait_for(r"status are at http://127\.0\.0\.1:(\d+)")[1])
    assert [ask(port, path)[0] for path in ("/live", "/startup", "/ready")] == [200, 503, 503]
    tmp_path.joinpath("gate").write_text("go on")
    server.wait_for_worker(1)
    assert [ask(port, path)[0] for path in ("/live", "/startup", "/ready")] == [200, 200, 200]


def test_a_server_that_stops_is_live_and_not_ready(server, tmp_path):
    os.mkfifo(tmp_path / "gate")
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        client.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        with tmp_path.joinpath("gate").open("w") as gate:
            server.send("TERM")
            server.wait_for("stopping")
            assert ask(server.admin_port, "/ready") == (503, "stopping\n")
            assert ask(server.admin_port, "/live")[0] == 200
            gate.write("x")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    assert server.wait_for_end() == 0


def test_what_is_counted_is_exposed(server):
    for _ in range(3):
        server.get()
    server.get("/fail")
    found = metrics(server)
    assert found["penstock_requests_total",] == 4
    assert found["penstock_responses_total", ("class", "2xx")] == 3
    assert found["penstock_responses_total", ("class", "5xx")] == 1
    assert found["penstock_request_duration_seconds_count",] == 4
    assert found["penstock_connections_accepted_total",] == 4
    assert found["penstock_sent_bytes_total",] > found["penstock_received_bytes_total",] / 2 > 0
    assert found["penstock_workers", ("state", "ready")] == 1
    assert found["penstock_generation",] == 1
    assert found["penstock_worker_memory_bytes", ("worker", "1")] > 2**20


def test_a_request_in_progress_is_in_flight_and_in_top(server, tmp_path):
    os.mkfifo(tmp_path / "gate")
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        client.sendall(b"GET /hold?secret=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        # Opening it for writing waits until the application has opened it for reading.
        with tmp_path.joinpath("gate").open("w") as gate:
            found = metrics(server)
            assert found["penstock_requests_in_flight",] == found["penstock_threads_busy",] == 1
            shown, errors, status = server.command("top", "--once")
            assert (errors, status) == ("", 0)
            assert re.search(rf"^1 +{server.pids[0]} +ready +1 ", shown, re.MULTILINE)
            assert re.search(r"^1 +\d+ +\S+ +GET /hold$", shown, re.MULTILINE)
            gate.write("x")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    assert metrics(server)["penstock_requests_in_flight",] == 0


def test_counters_do_not_go_back_when_a_worker_is_replaced(server):
    for _ in range(5):
        server.get()
    before = metrics(server)
    os.kill(server.pids[0], signal.SIGKILL)
    server.wait_for_worker(1)
    server.get()
    after = metrics(server)
    assert after["penstock_requests_total",] == before["penstock_requests_total",] + 1 == 6
    assert after["penstock_request_duration_seconds_count",] == 6
    assert sum(value for (name, *_), value in after.items() if name == "penstock_worker_restarts_total") == 1


def test_counters_do_not_go_back_with_a_reload(server):
    for _ in range(5):
        server.get()
    server.send("HUP")
    server.wait_until_left(*server.pids)
    found = metrics(server)
    assert (found["penstock_requests_total",], found["penstock_generation",]) == (5, 2)


def test_status_is_json(server):
    status, text = ask(server.admin_port, "/status")
    found = json.loads(text)
    assert status == 200
    assert found["workers"][0]["pid"] == server.pids[0]
    assert found["addresses"] == [f"http://127.0.0.1:{server.port}"]


def test_the_supervisor_answers_while_the_worker_is_stopped(server):
    os.kill(server.pids[0], signal.SIGSTOP)
    assert ask(server.admin_port, "/live")[0] == 200
    assert metrics(server)["penstock_workers", ("state", "ready")] == 1
    os.kill(server.pids[0], signal.SIGCONT)
    assert server.get() == "hello"


def test_clients_that_say_nothing_do_not_keep_others_from_an_answer(server):
    silent = [socket.create_connection(("127.0.0.1", server.admin_port)) for _ in range(100)]
    assert ask(server.admin_port, "/live")[0] == 200
    for client in silent:
        client.close()


def test_no_worker_holds_the_admin_socket(server):
    server.send("STOP")
    with socket.create_connection(("127.0.0.1", server.admin_port), timeout=PATIENCE) as client:
        client.sendall(b"GET /live HTTP/1.1\r\n\r\n")
        server.send("KILL")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_an_admin_address_in_use_ends_the_start(server, start):
    second = start("--admin-bind", f"127.0.0.1:{server.admin_port}")
    assert second.wait_for_end() == 3
    assert f"cannot listen on 127.0.0.1:{server.admin_port}: the address is in use" in second.log


def test_a_unix_socket_can_be_the_admin_address_and_is_removed(start, tmp_path):
    server = start("--admin-bind", "unix:admin.sock")
    server.wait_for_worker(1)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "admin.sock"))
        client.sendall(b"GET /ready HTTP/1.1\r\n\r\n")
        assert b"".join(iter(lambda: client.recv(4096), b"")).endswith(b"\r\n\r\nready\n")
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert not tmp_path.joinpath("admin.sock").exists()


def test_an_upgrade_takes_the_admin_address_with_it(server):
    assert server.command("upgrade") == ("", "", 0)
    assert server.process.wait(PATIENCE) == 0
    assert ask(server.admin_port, "/ready") == (200, "ready\n")
    assert server.command("stop") == ("", "", 0)


def test_as_json_every_line_is_an_object_also_a_traceback(start):
    server = start("--log-format", "json")
    server.port = int(server.wait_for(r"address: http://127\.0\.0\.1:(\d+)")[1])
    server.wait_for_worker(1)
    server.get("/fail")
    server.wait_for("asked to")
    server.send("TERM")
    assert server.wait_for_end() == 0
    events = [json.loads(line) for line in server.written if line]
    assert all(event.keys() == {"time", "level", "pid", "message"} for event in events)
    [failure] = [event for event in events if event["level"] == "error"]
    assert "Traceback" in failure["message"]
    assert failure["message"].rstrip().endswith("RuntimeError: asked to")
    assert events[-1]["message"] == "stopped"


@pytest.fixture
def logging_server(start, tmp_path):
    """A server whose log is a file, which its workers write tracebacks to."""
    server = start("--error-log", "error.log", "--admin-bind", "127.0.0.1:0", "--pid-file", "run.pid")
    path = tmp_path / "error.log"
    server.path = path
    return server


def wait_for_log(path, pattern):
    """Follows a log file until a line matches."""
    with subprocess.Popen(["tail", "-n", "+1", "-s", "0.1", "-F", path], stdout=subprocess.PIPE, text=True) as tail:
        timer = threading.Timer(PATIENCE, tail.kill)
        timer.start()
        try:
            assert any(re.search(pattern, line) for line in tail.stdout), f"no line like {pattern!r} in {path}"
        finally:
            timer.cancel()
            tail.kill()


def test_usr1_opens_the_log_anew_in_every_process(logging_server):
    server, path = logging_server, logging_server.path
    wait_for_log(path, r"worker 1 \(pid \d+\) is ready")
    server.port = int(re.search(r"address +http://127\.0\.0\.1:(\d+)", path.read_text())[1])
    path.rename(path.with_suffix(".1"))
    server.send("USR1")
    wait_for_log(path, "log files are opened anew")
    # The worker hears of it in its own time.
    assert any("RuntimeError: asked to" in path.read_text() for _ in range(1000) if server.get("/fail"))


def test_a_log_that_is_copied_and_truncated_goes_on_at_its_beginning(logging_server):
    server, path = logging_server, logging_server.path
    wait_for_log(path, r"worker 1 \(pid \d+\) is ready")
    server.port = int(re.search(r"address +http://127\.0\.0\.1:(\d+)", path.read_text())[1])
    os.truncate(path, 0)
    server.get("/fail")
    server.send("TERM")
    assert server.wait_for_end() == 0
    text = path.read_text()
    assert "\0" not in text
    assert "RuntimeError: asked to" in text
    assert text.endswith("stopped\n")


def test_lines_go_through_logging_where_it_is_configured(start, tmp_path):
    config = {
        "version": 1,
        "formatters": {"own": {"format": "own %(process)d %(message)s"}},
        "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own"}},
        "loggers": {"penstock": {"handlers": ["own"]}},
    }
    tmp_path.joinpath("log.json").write_text(json.dumps(config))
    server = start("--log-config", "log.json")
    server.port = int(server.wait_for(rf"own {server.process.pid} address: http://127\.0\.0\.1:(\d+)")[1])
    worker = server.wait_for_worker(1)
    server.get("/fail")
    server.wait_for(rf"own {worker} .*")
    server.wait_for("asked to")


def test_a_log_config_that_is_not_there_ends_the_start(start):
    server = start("--log-config", "missing.json")
    assert server.wait_for_end() == 2
    assert "missing.json cannot be used: [Errno 2] No such file" in server.log


def test_statsd_that_cannot_be_reached_does_not_keep_the_site_from_being_served(start):
    server = start("--statsd", "no-such-host.invalid:8125").find_port()
    assert server.get() == "hello"
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert "no metrics are sent: statsd no-such-host.invalid:8125 cannot be reached" in server.log


def test_what_was_counted_until_a_stop_is_sent_to_statsd(start):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.setblocking(False)
        server = start("--statsd", f"127.0.0.1:{statsd.getsockname()[1]}").find_port()
        for _ in range(3):
            server.get()
        server.send("TERM")
        assert server.wait_for_end() == 0
        packets = []
        with contextlib.suppress(BlockingIOError):
            while True:
                packets.append(statsd.recv(65536).decode())
    # A slow machine may have sent one report before the last.
    assert sum(map(int, re.findall(r"^penstock\.requests:(\d+)\|c$", "\n".join(packets), re.MULTILINE))) == 3
