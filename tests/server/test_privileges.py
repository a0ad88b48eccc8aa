"""A server that root starts and another user runs: real users, in a directory that they may read."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

NAME = "nobody"
SITE = """\
import os

def app(environ, start_response):
    groups = ",".join(map(str, sorted(os.getgroups())))
    names = " ".join(os.environ[name] for name in ("USER", "LOGNAME", "HOME"))
    size = len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getresuid()} {os.getresgid()} {groups} {names} {size}".encode()]
"""
# Python itself may lie where only root may look, so it gets another name in a mount namespace that nobody else sees.
READABLE_PYTHON = 'mount --bind "$0" python && shift && exec ./python/bin/python3 "$@"'


def reason_to_skip():
    if os.geteuid():
        return "only root can become another user"
    if not shutil.which("unshare") or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        return "the system allows no mount namespaces"
    return ""


pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip())


@pytest.fixture
def site():
    """A directory that everybody may read."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        directory.joinpath("python").mkdir()
        directory.joinpath("shop.py").write_text(SITE)
        yield directory


@pytest.fixture
def begin(launch, site):
    """Starts the site's server as root."""

    def start(*arguments, inherits=()):
        return launch(
            "shop.py",
            "--workers",
            "1",
            *arguments,
            directory=site,
            inherits=inherits,
            variables={
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if "site-packages" in path or "src" in path)
            },
            wrapper=["unshare", "--mount", "sh", "-c", READABLE_PYTHON, sys.base_prefix],
        )

    return start


def expected(size=0, gid=None):
    user = pwd.getpwnam(NAME)
    gid = user.pw_gid if gid is None else gid
    groups = ",".join(map(str, sorted(os.getgrouplist(NAME, gid))))
    return f"{(user.pw_uid,) * 3} {(gid,) * 3} {groups} {NAME} {NAME} {user.pw_dir} {size}"


def ask(path, body=b""):
    """One request over a unix socket, as the user."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        return b"".join(iter(lambda: client.recv(65536), b"")).decode().partition("\r\n\r\n")[2]


def test_the_application_runs_as_the_user_and_nothing_of_root_is_left(begin):
    server = begin("--bind", "127.0.0.1:0", "--user", NAME).find_port()
    server.wait_for_worker(1)
    assert server.get() == expected()
    assert "serving as root" not in server.log


BESIDE = """\
[site]
release = "echo release $(id -un) $USER $HOME"
processes.queue = "echo queue $(id -un) $(id -Gn) $USER $HOME; exec sleep 1000"
schedule = { "* * * * * *" = "echo job $(id -un) $USER $HOME" }
"""


def test_what_runs_beside_the_web_runs_as_the_user_and_ends_with_the_supervisor(begin, site):
    user = pwd.getpwnam(NAME)
    site.joinpath("penstock.toml").write_text(BESIDE)
    server = begin("--bind", "127.0.0.1:0", "--user", NAME)
    server.wait_for(f"release: release {NAME} {NAME} {user.pw_dir}$")
    groups = subprocess.run(["id", "-Gn", NAME], capture_output=True, text=True, check=True).stdout.strip()
    server.wait_for(f"queue: queue {NAME} {groups} {NAME} {user.pw_dir}$")
    server.wait_for(f"echo: job {NAME} {NAME} {user.pw_dir}$")
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert re.search(r"process queue \(pid \d+\) has left", server.log)


def test_a_process_of_another_user_ends_when_the_supervisor_is_killed(begin, site):
    site.joinpath("penstock.toml").write_text('[site]\nprocesses.queue = { command = "sleep 1000", output = "pass" }')
    server = begin("--bind", "127.0.0.1:0", "--user", NAME)
    server.wait_for(r"process queue \(pid \d+\) is started")
    server.process.kill()
    assert server.wait_for_end() == -signal.SIGKILL


def test_a_group_is_chosen_by_name_or_number(begin):
    server = begin("--bind", "127.0.0.1:0", "-u", NAME, "-g", "4242").find_port()
    server.wait_for_worker(1)
    assert server.get() == expected(gid=4242)


def test_a_reload_becomes_the_user_again(begin, site):
    server = begin("--bind", "127.0.0.1:0", "--user", NAME).find_port()
    first = server.wait_for_worker(1)
    site.joinpath("shop.py").write_text(SITE.replace("200 OK", "203 Two"))
    server.send("HUP")
    server.wait_until_left(first)
    assert server.get() == expected()


def test_an_upgrade_serves_as_the_user_and_takes_the_pid_file_over(begin, site):
    server = begin("--bind", "127.0.0.1:0", "--user", NAME, "--pid-file", "run.pid").find_port()
    server.wait_for_worker(1)
    server.send("USR2")
    new = int(server.wait_for(r"the new supervisor \(pid (\d+)\) has taken over")[1])
    server.wait_for("stopped")
    assert server.get() == expected()
    assert site.joinpath("run.pid").read_text() == f"{new}\n"
    os.kill(new, signal.SIGTERM)
    assert server.wait_for_end() == 0
    assert not site.joinpath("run.pid").exists()


def test_stacks_and_status_are_told_of_a_worker_of_another_user(begin):
    server = begin("--bind", "127.0.0.1:0", "--user", NAME).find_port()
    pid = server.wait_for_worker(1)
    out, _, code = server.command("stacks")
    assert code == 0
    assert f"(pid {pid})" in out
    assert "worker.py" in out


def test_workers_leave_when_the_supervisor_is_killed(begin):
    server = begin("--bind", "127.0.0.1:0", "--user", NAME).find_port()
    server.wait_for_worker(1)
    server.process.kill()
    assert server.wait_for_end() == -signal.SIGKILL


def test_a_unix_socket_belongs_to_the_user_and_obeys_the_umask(begin, site):
    server = begin("--bind", "unix:site.sock", "--user", NAME, "--umask", "007")
    server.wait_for_worker(1)
    found = site.joinpath("site.sock").stat()
    assert (found.st_uid, oct(found.st_mode & 0o777)) == (pwd.getpwnam(NAME).pw_uid, "0o770")
    # A large body goes to a temporary file.
    assert ask(site / "site.sock", b"x" * 2**21) == expected(2**21)
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert not site.joinpath("site.sock").exists()


def test_logs_where_only_root_may_write_are_written_and_opened_anew(begin, site):
    logs = ("--access-log", "access.log", "--error-log", "error.log")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        fd = listening.fileno()
        server = begin("--bind", f"fd://{fd}", "--user", NAME, *logs, inherits=[fd])
        server.port = listening.getsockname()[1]
    assert server.get() == expected()
    for name in ("access.log", "error.log"):
        site.joinpath(name).rename(site / f"{name}.1")
    # Whichever of the two signals is heard first, both are heard before the end.
    server.send("USR1")
    server.send("TERM")
    assert server.wait_for_end() == 0
    owners = {path.name: path.stat().st_uid for path in site.glob("*.log*")}
    user = pwd.getpwnam(NAME).pw_uid
    assert owners == {"access.log": user, "access.log.1": user, "error.log": user, "error.log.1": user}
    assert "GET / " in site.joinpath("access.log.1").read_text()
    assert "cannot be opened" not in site.joinpath("error.log").read_text()


def test_a_directory_that_the_user_may_not_read_is_named(begin, site):
    site.chmod(0o700)
    server = begin("--bind", "127.0.0.1:0", "--user", NAME)
    assert server.wait_for_end() == 2
    assert f"error: {NAME} may not read {site}\n\nhint: each directory on the way there" in server.log


def test_serving_as_root_is_said_once(serve):
    server = serve(workers=2)
    server.send("TERM")
    server.wait_for_end()
    assert server.log.count("serving as root: the application may do whatever root may; --user NAME") == 1
