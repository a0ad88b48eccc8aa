"""Two sites of two users under one parent: what each may not do to the other. Real users of every Debian."""

import http.client
import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from asked_sites import snapshot, wait_until_up
from running_penstock import PATIENCE, servers_in

USERS = {"shop": "daemon", "blog": "games"}

# An application that tries what it is asked to, and says what came of it.
APPLICATION = """\
import ctypes, errno, json, os, socket, tempfile

def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)

def attach(pid):
    system = ctypes.CDLL(None, use_errno=True)
    for request in (0x4206, 17):  # PTRACE_SEIZE, PTRACE_DETACH
        if request == 0x4206 and system.ptrace(request, pid, 0, 0) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")

def read(path):
    with open(path, "rb") as file:
        file.read(0 if path.endswith("/mem") else 1)

def temporary():
    place, own = tempfile.gettempdir(), os.getuid()
    named = [entry.name for entry in os.scandir(place) if entry.stat(follow_symlinks=False).st_uid == own]
    links = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
             if os.path.lexists(f"/proc/self/fd/{name}")]
    return {"named": named, "nameless": sum(link.startswith(place) and link.endswith("(deleted)") for link in links)}

TRIES = {"read": read, "list": os.listdir, "connect": connect, "attach": attach, "signal": lambda pid: os.kill(pid, 0),
         "environment": lambda: dict(os.environ), "user": lambda: [os.getuid(), sorted(os.getgroups())],
         "temporary": temporary}

def app(environ, start_response):
    size = int(environ["CONTENT_LENGTH"])
    what, *arguments = json.loads(environ["wsgi.input"].read(size).strip())
    try:
        found = TRIES[what](*arguments)
        answer = "done" if what in ("read", "list", "connect", "attach", "signal") else found
    except OSError as error:
        answer = errno.errorcode[error.errno]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"""
SITES = """\
[server]
bind = ["127.0.0.1:0"]
access_log = "front.log"
""" + "".join(
    f"""
[sites.{name}]
hosts = ["{name}.example"]
app = "tries:app"
chdir = "{name}"
venv = "venv"
user = "{user}"
workers = 1
access_log = "{name}.log"
environment = {{ SECRET_KEY = "{name}'s own" }}
"""
    for name, user in USERS.items()
)
# Python itself may lie where only root may look, so it gets another name in a mount namespace that nobody else sees;
# the sites' virtual environment has the packages of this one.
BEGIN = (
    'mount --bind "$0" python && python/bin/python3 -m venv --without-pip venv && '
    'cp packages.pth venv/lib/python3.*/site-packages/ && shift && exec venv/bin/python "$@"'
)


def reason_to_skip():
    if os.geteuid():
        return "only root can become another user"
    if not shutil.which("unshare") or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        return "the system allows no mount namespaces"
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "" if known.issuperset(USERS.values()) else f"there are no users {' and '.join(USERS.values())}"


pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip())


@pytest.fixture(scope="module")
def place():
    """A directory that everybody may read, with a private one for each site."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        directory.joinpath("python").mkdir()
        packages = [path for path in sys.path if "site-packages" in path or "src" in path]
        directory.joinpath("packages.pth").write_text("\n".join(packages) + "\n")
        directory.joinpath("penstock.toml").write_text(SITES)
        for site, user in USERS.items():
            home = directory / site
            home.mkdir(0o700)
            home.joinpath("tries.py").write_text(APPLICATION)
            shutil.chown(home, user)
        yield directory


@pytest.fixture(scope="module")
def server(place):
    """Both sites, served by one parent that is root, whose own environment has a secret."""
    with servers_in(place) as begin:
        wrapper = ["unshare", "--mount", "sh", "-c", BEGIN, sys.base_prefix]
        server = begin(wrapper=wrapper, variables={"DATABASE_URL": "the parent's own"})
        server.find_port()
        wait_until_up(server, *USERS)
        yield server
        server.send("TERM")
        assert server.wait_for_end() == 0


def ask(server, site, *question, size=0):
    """What came of it when a worker of a site tried something; the question is filled up to `size` bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request("POST", "/", json.dumps(question).ljust(size), {"Host": f"{site}.example"})
    response = connection.getresponse()
    try:
        assert response.status == 200, server.log
        return json.loads(response.read())
    finally:
        connection.close()


def family(pid):
    """A process and all that come from it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in family(int(child)))]


def processes_of(server, site):
    """The supervisor of a site, its mold and its workers."""
    supervisor = next(one["pid"] for one in snapshot(server)["sites"] if one["name"] == site)
    found = family(supervisor)
    assert len(found) == 3, "a supervisor, a mold and a worker"
    return found


def processes_of_root(server):
    """The parent and the front."""
    sites = {pid for site in USERS for pid in processes_of(server, site)}
    found = [pid for pid in family(server.process.pid) if pid not in sites]
    assert len(found) == 2, "a parent and a front"
    return found


@pytest.mark.parametrize("site", USERS)
def test_a_site_is_its_user_in_every_process(server, site):
    user = pwd.getpwnam(USERS[site])
    assert ask(server, site, "user") == [user.pw_uid, sorted(os.getgrouplist(user.pw_name, user.pw_gid))]
    for pid in processes_of(server, site):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        assert f"Uid:\t{user.pw_uid}\t{user.pw_uid}\t{user.pw_uid}\t{user.pw_uid}" in lines
        assert f"CapEff:\t{0:016x}" in lines


@pytest.mark.parametrize("site", USERS)
def test_a_site_has_its_own_secrets_and_none_of_the_parent(server, site):
    environment = ask(server, site, "environment")
    assert environment["SECRET_KEY"] == f"{site}'s own"
    assert environment["USER"] == USERS[site]
    assert "DATABASE_URL" not in environment


@pytest.mark.parametrize("what", ["mem", "environ", "maps", "stack"])
def test_no_process_of_others_can_be_read(server, what):
    for pid in [*processes_of(server, "blog"), *processes_of_root(server)]:
        assert ask(server, "shop", "read", f"/proc/{pid}/{what}") in ("EACCES", "EPERM"), pid


def test_no_descriptor_of_others_can_be_seen_or_opened(server):
    for pid in [*processes_of(server, "blog"), *processes_of_root(server)]:
        assert ask(server, "shop", "list", f"/proc/{pid}/fd") == "EACCES"
        assert ask(server, "shop", "read", f"/proc/{pid}/fd/0") == "EACCES"


def test_no_process_of_others_can_be_traced_or_signalled(server):
    for pid in [*processes_of(server, "blog"), *processes_of_root(server)]:
        assert ask(server, "shop", "attach", pid) == "EPERM"
        assert ask(server, "shop", "signal", pid) == "EPERM"


def test_what_is_refused_to_others_is_possible_within_a_site(server):
    supervisor = processes_of(server, "blog")[0]
    tries = [("read", f"/proc/{supervisor}/environ"), ("list", f"/proc/{supervisor}/fd"), ("signal", supervisor)]
    assert [ask(server, "blog", *one) for one in tries] == ["done"] * 3


def test_no_control_socket_can_be_asked_by_another_site(server):
    paths = [one["control"] for one in snapshot(server)["sites"]]
    paths += [str(path) for path in Path(paths[0]).parent.glob("*.sock")]
    assert len(paths) >= 3, "one for each site, and the parent's"
    for path in paths:
        assert Path(path).is_socket()
        assert ask(server, "shop", "connect", path) == "EACCES"


def test_the_files_and_logs_of_a_site_are_its_own(server, place):
    ask(server, "blog", "user")
    log = place / "blog.log"
    found = log.stat()
    assert (found.st_uid, found.st_mode & 0o777) == (pwd.getpwnam(USERS["blog"]).pw_uid, 0o640)
    for path in (log, place / "blog/tries.py"):
        assert ask(server, "shop", "read", str(path)) == "EACCES"
        assert ask(server, "blog", "read", str(path)) == "done"


def test_the_front_is_nobody_without_any_right(server):
    nobody = pwd.getpwnam("nobody")
    status = Path(f"/proc/{snapshot(server)['front']['pid']}/status").read_text()
    assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}" in status
    assert f"Groups:\t{nobody.pw_gid} " in status
    assert f"CapEff:\t{0:016x}" in status


def test_after_a_rotation_each_log_is_written_by_its_own_user_and_no_other_may_read_it(server, place):
    for commanded in (["reopen-logs"], ["reopen-logs", "blog"]):
        old = place / f"old{len(commanded)}.log"
        place.joinpath("blog.log").rename(old)
        place.joinpath("blog.log").touch(0o644)  # as logrotate's "create" does, for root
        assert server.command(*commanded) == ("", "", 0)
        answers = (ask(server, "blog", "user") for _ in range(1000))  # workers hear of it a moment later
        assert any(answer and place.joinpath("blog.log").read_text() for answer in answers)
        found = place.joinpath("blog.log").stat()
        assert (found.st_uid, found.st_mode & 0o777) == (pwd.getpwnam(USERS["blog"]).pw_uid, 0o640)


def test_requests_that_reach_no_site_are_in_the_log_of_the_front_also_after_a_rotation(server, place):
    def ask_nobody():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("GET", "/", headers={"Host": "unknown.example"})
        assert connection.getresponse().status == 421
        connection.close()
        return True

    log = place / "front.log"
    assert any(ask_nobody() and " 421 " in log.read_text() for _ in range(1000))
    log.rename(place / "old.log")
    server.send("USR1")
    assert any(ask_nobody() and log.exists() and " 421 " in log.read_text() for _ in range(1000))
    assert (log.stat().st_uid, log.stat().st_mode & 0o777) == (0, 0o640)
    assert ask(server, "shop", "read", str(log)) == "EACCES"


def test_a_large_body_lies_in_a_file_without_a_name(server):
    before = ask(server, "blog", "temporary")
    # Larger than what is kept in memory for a body that comes at once.
    seen = ask(server, "blog", "temporary", size=40 * 2**20)
    assert seen == {"named": [], "nameless": before["nameless"] + 1}


def test_no_process_of_a_site_dumps_core(server):
    for pid in processes_of(server, "shop"):
        [line] = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core file" in line]
        assert line.split()[4:6] == ["0", "0"]
