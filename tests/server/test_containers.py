"""As the first process of a container, and on disks that cannot be written to: in namespaces of the test's own."""

import http.client
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from hello_site import hello
from running_penstock import PATIENCE

# The shell makes an orphan, which ends at once: only the first process of the namespace can bury it.
SITE = """\
import os
import subprocess

def app(environ, start_response):
    pid = environ["PATH_INFO"].strip("/")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if pid:
        return [str(os.path.exists("/proc/" + pid)).encode()]
    return [subprocess.check_output(["sh", "-c", ": & echo $!"]).strip()]
"""
# Every place that a server might think of; the test's directory too.
READ_ONLY = """
for place in /tmp /var/tmp /run /dev/shm "$PWD"; do mount --bind "$place" "$place" || exit; done
for place in / /tmp /var/tmp /run /dev/shm "$PWD"; do mount -o remount,bind,ro "$place" || exit; done
exec "$@"
"""


def reason_to_skip(*options):
    if not shutil.which("unshare") or subprocess.run(["unshare", *options, "true"], check=False).returncode:
        return f"`unshare {' '.join(options)}` is not allowed here"
    return ""


in_a_pid_namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
no_pid_namespaces = reason_to_skip(*in_a_pid_namespace[1:])
no_mount_namespaces = reason_to_skip("--mount")


def first_process(server):
    """The pid, as seen from outside, of the server that is process 1 in its namespace."""
    [child] = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return int(child)


@pytest.mark.skipif(bool(no_pid_namespaces), reason=no_pid_namespaces)
def test_the_first_process_buries_orphans(serve):
    server = serve(source=SITE, wrapper=in_a_pid_namespace)
    assert server.process.pid != first_process(server)
    orphan = server.get()
    assert any(server.get(f"/{orphan}") == "False" for _ in range(2000))


@pytest.mark.skipif(bool(no_pid_namespaces), reason=no_pid_namespaces)
@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT"])
def test_the_first_process_hears_signals(serve, name):
    server = serve(wrapper=in_a_pid_namespace)
    os.kill(first_process(server), signal.SIGHUP)
    server.wait_for("generation 2 takes over")
    os.kill(first_process(server), signal.Signals["SIG" + name])
    assert server.wait_for_end() == 0
    assert server.log.endswith("stopped\n")


def post(port, size):
    """The status of the answer to a body of a size."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("POST", "/", b"x" * size)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.skipif(bool(no_mount_namespaces), reason=no_mount_namespaces)
def test_a_read_only_root_is_served_from_with_a_line_for_what_is_missing(launch, tmp_path):
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    server = launch(
        *("hello", "--bind", "127.0.0.1:0", "--workers", "1", "--pid-file", "run.pid"),
        wrapper=["unshare", "--mount", "sh", "-c", READ_ONLY, "sh"],
    )
    server.find_port()
    server.wait_for_worker(1)
    assert server.get().startswith("one from")
    assert post(server.port, 2**21) == 200
    assert post(server.port, 2**25) == 503
    server.send("TERM")
    assert server.wait_for_end() == 0
    for line in (
        "there is no control socket: Read-only file system",
        f"pid_file {tmp_path}/run.pid cannot be written: Read-only file system",
        "no temporary file can be written in ",
    ):
        assert server.log.count(line) == 1
