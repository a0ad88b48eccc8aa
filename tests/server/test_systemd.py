"""What systemd sees and gives: a fake service manager listens, real servers speak; sockets are passed as it does."""

import os
import signal
import socket
import sys
from tempfile import TemporaryDirectory

import pytest
from hello_site import hello
from running_penstock import PATIENCE

# Does what systemd does before it executes a service: the sockets are 3 and above, and meant for this process.
PASSING = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """Keeps the notices that came."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(PATIENCE)
        # A notice tells who sends it, as the kernel knows: systemd hears only the main process.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.heard = []

    def wait_for(self, wanted):
        """Reads up to a notice with a line that begins so; returns all of its lines, and the pid of its sender."""
        while True:
            data, credentials, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
            lines = data.decode().split("\n")
            self.heard += lines
            if any(line.startswith(wanted) for line in lines):
                return lines, int.from_bytes(credentials[0][2][:4], "little")

    def rest(self):
        """What has been said since, once nobody speaks any more."""
        self.socket.setblocking(False)
        lines = []
        try:
            while True:
                lines += self.socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return lines


@pytest.fixture(params=["path", "abstract"])
def manager(request):
    with TemporaryDirectory() as directory:
        place = f"{directory}/notify" if request.param == "path" else f"@penstock-test-{os.getpid()}"
        told = Manager(place.replace("@", "\0", 1) if request.param == "abstract" else place)
        told.variables = {"NOTIFY_SOCKET": place}
        with told.socket:
            yield told


def test_the_manager_hears_that_it_is_ready_reloads_and_stops(serve, launch, manager, tmp_path):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    server = launch("hello", "--bind", "127.0.0.1:0", "--workers", "2", variables=manager.variables)
    lines, pid = manager.wait_for("READY=1")
    assert pid == server.process.pid
    assert "STATUS=ready: generation 1, 1 of 2 workers" in lines
    assert manager.wait_for("STATUS=ready: generation 1, 2 of 2 workers")
    server.send("HUP")
    lines, _ = manager.wait_for("RELOADING=1")
    assert [line for line in lines if line.startswith("MONOTONIC_USEC=") and line[15:].isdecimal()]
    assert "STATUS=ready: generation 2, 2 of 2 workers" in manager.wait_for("READY=1")[0]
    server.send("TERM")
    manager.wait_for("STOPPING=1")
    assert server.wait_for_end() == 0
    assert [line for line in manager.heard + manager.rest() if line.startswith("STOPPING")] == ["STOPPING=1"]


def test_the_manager_hears_why_a_reload_failed(launch, manager, tmp_path):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    server = launch("hello", "--bind", "127.0.0.1:0", "--workers", "1", variables=manager.variables)
    manager.wait_for("READY=1")
    tmp_path.joinpath("hello.py").write_text("def (\n")
    server.send("HUP")
    manager.wait_for("RELOADING=1")
    manager.wait_for("READY=1")
    manager.wait_for(
        "STATUS=ready: generation 1, 1 of 1 workers; generation 2 failed: hello cannot be imported: invalid syntax"
    )


def test_the_watchdog_is_fed_by_the_loop(launch, manager, tmp_path):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    server = launch(
        "hello", "--bind", "127.0.0.1:0", variables=manager.variables | {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": ""}
    )
    manager.wait_for("READY=1")
    for _ in range(3):
        assert manager.wait_for("WATCHDOG=1")[1] == server.process.pid


def test_a_watchdog_of_another_process_is_not_fed(launch, manager, tmp_path):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    others = {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}
    server = launch("hello", "--bind", "127.0.0.1:0", variables=manager.variables | others)
    manager.wait_for("READY=1")
    server.send("TERM")
    server.wait_for_end()
    assert "WATCHDOG=1" not in manager.heard + manager.rest()


def test_an_upgrade_names_the_new_main_process_before_that_one_speaks(launch, manager, tmp_path):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    server = launch(
        "hello", "--bind", "127.0.0.1:0", "--workers", "1", variables=manager.variables | {"WATCHDOG_USEC": "60000000"}
    )
    manager.wait_for("READY=1")
    server.send("USR2")
    lines, old = manager.wait_for("MAINPID=")
    new = int(lines[0].removeprefix("MAINPID="))
    assert old == server.process.pid
    assert manager.wait_for("READY=1")[1] == new
    assert manager.wait_for("WATCHDOG=1")[1] == new
    os.kill(new, signal.SIGTERM)
    assert manager.wait_for("STOPPING=1")[1] == new
    server.wait_for_end()


def test_several_sites_feed_the_watchdog_and_their_next_parent_is_named(launch, manager, tmp_path):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    tmp_path.joinpath("penstock.toml").write_text(
        '[server]\nbind = ["127.0.0.1:0"]\n[sites.shop]\napp = "hello"\ndefault = true\nworkers = 1\n'
    )
    server = launch(variables=manager.variables | {"WATCHDOG_USEC": "20000"})
    manager.wait_for("READY=1")
    for _ in range(3):
        assert manager.wait_for("WATCHDOG=1")[1] == server.process.pid
    server.send("USR2")
    new = int(manager.wait_for("MAINPID=")[0][0].removeprefix("MAINPID="))
    assert manager.wait_for("READY=1")[1] == new
    assert manager.wait_for("WATCHDOG=1")[1] == new
    os.kill(new, signal.SIGTERM)
    assert manager.wait_for("STOPPING=1")[1] == new
    server.wait_for_end()


def test_the_application_is_not_told_of_the_manager(launch, manager, tmp_path):
    source = (
        "import os\nNAMES = [name for name in os.environ if name.startswith(('NOTIFY_', 'WATCHDOG_', 'LISTEN_'))]\n"
    )
    tmp_path.joinpath("hello.py").write_text(
        source + hello("one") + "print(f'told of {NAMES}', file=__import__('sys').stderr)\n"
    )
    server = launch("hello", "--bind", "127.0.0.1:0", variables=manager.variables | {"LISTEN_FDS": "1"})
    assert server.wait_for(r"told of \[(.*)\]")[1] == ""


@pytest.fixture
def passed():
    """A socket that waits for a server."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


def start_with(launch, tmp_path, passed, *arguments, **variables):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    fd = passed.fileno()
    server = launch(
        "hello",
        "--workers",
        "1",
        *arguments,
        inherits=[fd],
        variables={"LISTEN_FDS": "1", **variables},
        wrapper=[sys.executable, "-c", PASSING, str(fd)],
    )
    server.port = passed.getsockname()[1]
    return server


def test_a_passed_socket_is_served_when_nobody_names_an_address(launch, tmp_path, passed):
    server = start_with(launch, tmp_path, passed)
    server.wait_for(rf"address +http://127\.0\.0\.1:{passed.getsockname()[1]} +systemd")
    assert server.get().startswith("one from")
    tmp_path.joinpath("hello.py").write_text(hello("two"))
    server.send("HUP")
    server.wait_for("generation 2 takes over")
    assert "a reload does not change" not in server.log


def test_a_passed_socket_is_chosen_by_its_name(launch, tmp_path, passed):
    server = start_with(launch, tmp_path, passed, "--bind", "fd://web", LISTEN_FDNAMES="web")
    server.wait_for("is ready")
    assert server.get().startswith("one from")


def test_a_name_that_systemd_has_not_passed_is_an_error_with_those_it_has(launch, tmp_path, passed):
    server = start_with(launch, tmp_path, passed, "--bind", "fd://site", LISTEN_FDNAMES="web")
    assert server.wait_for_end() == 3
    assert server.log == (
        "error: cannot listen on fd://site: systemd has passed no socket of that name\n\nhint: it has passed web\n"
    )


def test_a_passed_socket_that_nobody_asks_for_is_said(launch, tmp_path, passed):
    server = start_with(launch, tmp_path, passed, "--bind", "127.0.0.1:0")
    server.wait_for("systemd has passed sockets that nobody asks for: fd://3")


def test_a_passed_socket_may_serve_the_admin_pages(launch, tmp_path, passed):
    server = start_with(
        launch, tmp_path, passed, "--admin-bind", "fd://admin", "--bind", "127.0.0.1:0", LISTEN_FDNAMES="admin"
    )
    server.wait_for("is ready")
    assert server.get("/live").strip() == "live"
