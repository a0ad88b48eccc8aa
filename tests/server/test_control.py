"""The control socket, by the commands that use it: every test asks a real supervisor."""

import contextlib
import json
import os
import pwd
import signal
import socket
import stat
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hello_site import hello
from running_penstock import OWN_CODE


def status(server, *arguments):
    out, err, code = server.command("status", "--json", *arguments)
    assert (err, code) == ("", 0)
    return json.loads(out)


def socket_of(server):
    [path] = Path(server.environment["XDG_RUNTIME_DIR"], "penstock").iterdir()
    return path


def test_the_status_tells_of_the_supervisor_and_each_worker(serve):
    server = serve(workers=2)
    server.get()
    facts = status(server)
    assert (facts["pid"], facts["generation"], facts["is_ready"]) == (server.process.pid, 1, True)
    assert facts["addresses"] == [f"http://127.0.0.1:{server.port}"]
    assert sorted(worker["pid"] for worker in facts["workers"]) == sorted(server.pids)
    assert sum(worker["requests"] for worker in facts["workers"]) == 1
    assert all(worker["memory"] > 2**20 and worker["state"] == "ready" for worker in facts["workers"])


def test_the_status_is_a_table_for_people(serve):
    server = serve()
    out, err, code = server.command("status")
    assert (err, code) == ("", 0)
    assert f"pid {server.process.pid}, ready, up " in out
    [row] = [line.split() for line in out.splitlines() if line.split()[1:2] == [str(server.pids[0])]]
    assert row[0] == "1"
    assert "0/8" in row


def test_only_the_owner_may_open_the_socket_and_it_goes_with_the_supervisor(serve):
    server = serve()
    path = socket_of(server)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert not path.exists()


def test_a_reload_answers_when_the_new_code_serves(serve, tmp_path):
    server = serve()
    tmp_path.joinpath("hello.py").write_text(hello("two"))
    assert server.command("reload") == ("generation 2 serves\n", "", 0)
    server.wait_until_left(*server.pids)
    assert server.get().startswith("two from")


def test_a_reload_that_fails_prints_the_traceback_and_ends_with_1(serve, tmp_path):
    server = serve()
    tmp_path.joinpath("hello.py").write_text("def settings():\n    return 1 / 0\n\nsettings()\n")
    out, err, code = server.command("reload")
    assert (out, code) == ("", 1)
    assert err.startswith("error: hello cannot be imported: ZeroDivisionError: division by zero\n")
    assert "line 2, in settings\n    return 1 / 0" in err
    assert OWN_CODE not in err
    assert server.get() == f"one from {server.pids[0]}"


def test_a_rollback_serves_the_old_code_though_the_files_are_new(serve, tmp_path):
    server = serve()
    tmp_path.joinpath("hello.py").write_text(hello("two"))
    server.command("reload")
    server.wait_until_left(*server.pids)
    tmp_path.joinpath("hello.py").write_text("def (\n")
    assert server.command("rollback") == ("generation 1 serves\n", "", 0)
    server.wait_for("has left")
    assert server.get().startswith("one from")
    assert server.command("rollback") == ("generation 2 serves\n", "", 0)
    server.wait_for("has left")
    assert server.get().startswith("two from")


def test_a_rollback_without_a_previous_generation_is_an_error(serve):
    server = serve("--no-keep-previous")
    server.command("reload")
    out, err, code = server.command("rollback")
    assert (out, code) == ("", 1)
    assert err.startswith("error: there is no previous generation to go back to\n\nhint: ")


def test_scale_changes_the_number_of_workers(serve):
    server = serve()
    assert server.command("scale", "3") == ("", "", 0)
    pids = server.wait_for_workers(2, 3)
    assert server.command("scale", "1") == ("", "", 0)
    server.wait_until_left(*pids)
    assert status(server)["restarts"]["scale"] == 2


def test_a_senseless_number_of_workers_is_a_usage_error(serve):
    server = serve()
    for number, hint in (("0", "`penstock stop` ends them all"), ("33", "restart with more to have room for more")):
        assert server.command("scale", number) == (
            "",
            f"error: there can be 1 to 32 workers\n\nhint: {hint}\n",
            2,
        )


def test_stop_returns_when_the_supervisor_has_left(serve):
    server = serve(workers=2)
    assert server.command("stop") == ("", "", 0)
    assert server.wait_for_end() == 0
    assert server.log.endswith("stopped\n")


def test_reopen_logs_opens_the_files_anew(serve):
    server = serve()
    assert server.command("reopen-logs") == ("", "", 0)
    server.wait_for("log files are opened anew")


WHERE = """
    import ctypes, threading

    def forever():
        threading.Event().wait()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/waits":
            forever()
        if environ["PATH_INFO"] == "/grips":
            ctypes.PyDLL(None).pause()
        start_response("200 OK", [])
        return [b"ok"]
"""


@pytest.mark.parametrize("path", ["/waits", "/grips"])
def test_stacks_shows_where_each_thread_is_also_without_the_gil(serve, path):
    server = serve("--timeout", "0s", source=textwrap.dedent(WHERE))
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while not status(server)["workers"][0]["busy"]:
            pass
        out, err, code = server.command("stacks")
        assert (err, code) == ("", 0)
        assert out.startswith(f"worker 1 (pid {server.pids[0]})\n")
        assert "hello.py" in out
        assert "in application" in out
        os.kill(server.pids[0], signal.SIGKILL)


def test_log_files_that_are_opened_anew_just_after_a_reload_has_begun_do_not_end_it(serve):
    server = serve()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) for _ in range(2)]
        for client in clients:
            client.connect(str(socket_of(server)))
            client.sendall(b'{"command": "status"}\n')
            assert client.recv(2**20)
        server.send("STOP")  # so that it hears of both at once
        for client, command in zip(clients, (b"reload", b"reopen-logs"), strict=True):
            client.sendall(b'{"command": "' + command + b'"}\n')
        server.send("CONT")
        server.wait_for("generation 2 takes over from generation 1")


def test_without_a_supervisor_the_error_says_how_to_get_one(launch, tmp_path):
    server = launch("--version")
    server.wait_for_end()
    out, err, code = server.command("status")
    assert (out, code) == ("", 1)
    # Other projects may be served on this machine; then they are listed.
    assert err.startswith(f"error: no supervisor serves {tmp_path}")
    assert err.endswith(("or name its socket: --control\n", "hint: name one with --control\n"))


def test_a_broken_file_keeps_nobody_from_looking_at_what_runs_and_from_stopping_it(serve, tmp_path):
    server = serve()
    tmp_path.joinpath("penstock.toml").write_text("[site]\nwrokers = 2\n")
    out, err, code = server.command("status")
    assert (f"pid {server.process.pid}, ready" in out, code) == (True, 0)
    assert "penstock.toml:2: [site] has no key 'wrokers'; the supervisor goes on with what it has read" in err
    assert server.command("reload")[2] == 2
    assert server.command("stop")[2] == 0
    assert server.wait_for_end() == 0
    out, err, code = server.command("status")
    assert (out, code) == ("", 2)
    assert err.startswith("error: penstock.toml:2: [site] has no key 'wrokers'\n")


def test_several_supervisors_of_one_project_are_listed(serve):
    first, second = serve(), serve()
    out, err, code = first.command("status")
    assert (out, code) == ("", 1)
    assert f"2 supervisors serve {first.directory}" in err
    paths = [line for line in err.splitlines() if line.endswith(".sock")]
    assert len(paths) == 2
    [own] = [path for path in paths if f".{second.process.pid}." in path]
    assert second.command("stop", "--control", own) == ("", "", 0)
    assert status(first)["pid"] == first.process.pid


def test_the_supervisor_of_another_project_is_named_and_not_taken(serve, tmp_path):
    server = serve()
    tmp_path.joinpath("elsewhere").mkdir()
    out, err, code = server.command("stop", "--chdir", "elsewhere")
    assert (out, code) == ("", 1)
    assert f"no supervisor serves {tmp_path}/elsewhere; others run\n\n{socket_of(server)}\n" in err


def test_a_socket_that_cannot_be_made_is_told_in_one_line_and_serving_goes_on(serve):
    server = serve("--control", "/proc/none/control.sock")
    assert "there is no control socket: " in server.log
    assert server.get() == f"one from {server.pids[0]}"


def test_the_socket_can_be_switched_off(serve):
    server = serve("--control", "off")
    assert list(Path(server.environment["XDG_RUNTIME_DIR"]).iterdir()) == []


def test_a_socket_that_somebody_listens_on_is_left_alone(serve):
    path = Path("control.sock")
    first = serve("--control", str(path))
    second = serve("--control", str(path))
    assert "belongs to another process" in second.log
    out, _, _ = first.command("status", "--json", "--control", str(path))
    assert json.loads(out)["pid"] == first.process.pid


def test_what_is_no_question_gets_an_error_and_harms_nobody(serve):
    server = serve()
    with socket.socket(socket.AF_UNIX) as client, client.makefile("rb") as answers:
        client.connect(str(socket_of(server)))
        for line, error in [
            (b"stop\n", "the control socket speaks JSON, one object a line"),
            (b"[" * 4000 + b"\n", "the control socket speaks JSON, one object a line"),
            (b"[1]\n", "the control socket speaks JSON, one object a line"),
            (b'{"command": "reloud"}\n', "there is no command 'reloud'"),
            (b'{"command": "scale", "workers": "many"}\n', "scale needs a number of workers"),
        ]:
            client.sendall(line)
            assert json.loads(answers.readline())["error"]["message"] == error
        client.sendall(b"x" * 5000)
        assert answers.readline() == b""
    assert server.get() == f"one from {server.pids[0]}"


@pytest.mark.parametrize("control", ["auto", "control.sock"])
def test_an_upgrade_hands_the_sockets_over(serve, tmp_path, control):
    server = serve("--pid-file", "run.pid", "--control", control)
    tmp_path.joinpath("hello.py").write_text(hello("two"))
    assert server.command("upgrade", "--control", control) == ("", "", 0)
    assert server.process.wait(60) == 0
    successor = int(tmp_path.joinpath("run.pid").read_text())
    assert successor != server.process.pid
    assert server.get().startswith("two from")
    assert status(server, "--control", control)["pid"] == successor
    assert server.command("stop", "--control", control) == ("", "", 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hello.py"]


def test_a_stop_during_an_upgrade_ends_the_new_supervisor_too(serve, tmp_path):
    server = serve()
    tmp_path.joinpath("hello.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(3600)\n")
    server.send("USR2")
    server.wait_for("upgrading: a new supervisor")
    server.send("TERM")
    # Standard error ends when the last process that holds it has left.
    assert server.wait_for_end() == 0


def test_usr2_is_an_upgrade_too(serve):
    server = serve()
    server.send("USR2")
    assert server.process.wait(60) == 0
    assert server.get().startswith("one from")
    assert server.command("stop") == ("", "", 0)


def test_an_upgrade_that_fails_changes_nothing_and_says_why(serve, tmp_path):
    server = serve("--pid-file", "run.pid")
    tmp_path.joinpath("hello.py").write_text("import surely_missing\n")
    out, err, code = server.command("upgrade")
    assert (out, code) == ("", 1)
    assert err.startswith("error: hello cannot be imported: ModuleNotFoundError")
    server.wait_for("the upgrade failed, this supervisor goes on")
    assert tmp_path.joinpath("run.pid").read_text() == f"{server.process.pid}\n"
    assert server.get() == f"one from {server.pids[0]}"
    assert status(server)["pid"] == server.process.pid


def test_an_upgrade_that_fails_leaves_the_unix_socket_where_clients_find_it(serve, tmp_path):
    server = serve("--bind", "unix:hello.sock")
    tmp_path.joinpath("hello.py").write_text("import surely_missing\n")
    assert server.command("upgrade")[2] == 1
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "hello.sock"))
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert not tmp_path.joinpath("hello.sock").exists()


def test_another_user_is_not_heard_even_where_the_file_lets_him_in(serve):
    if os.geteuid():
        pytest.skip("only root can become another user")
    # The directories of a test are closed to others.
    with TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        path = f"{directory}/control.sock"
        server = serve("--control", path)
        with socket.socket(socket.AF_UNIX) as client:
            os.seteuid(pwd.getpwnam("nobody").pw_uid)
            try:
                with pytest.raises(PermissionError):
                    client.connect(path)
                os.seteuid(0)
                os.chmod(path, 0o666)
                os.seteuid(pwd.getpwnam("nobody").pw_uid)
                client.connect(path)
            finally:
                os.seteuid(0)
            with contextlib.suppress(OSError):  # the supervisor has hung up, perhaps before this
                client.sendall(b'{"command": "stop"}\n')
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(4096) == b""
        assert status(server, "--control", path)["pid"] == server.process.pid
