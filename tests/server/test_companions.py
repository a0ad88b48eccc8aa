"""Processes beside the web, jobs and the release command: real ones, that say in the log what happens to them."""

import json
import os
import re
import signal
import sys
import textwrap

import pytest
from hello_site import hello

# Says who it is, and how it is asked to end; then it ends.
TALKER = """
    import os, signal, sys

    def leave(number, frame):
        print("heard", signal.Signals(number).name)
        sys.exit(0)

    for name in ("TERM", "INT"):
        signal.signal(signal.Signals["SIG" + name], leave)
    print(sys.argv[1], "in", os.getcwd(), "with", os.environ.get("SHOP"), os.environ.get("COLOUR"))
    while True:
        signal.pause()
"""


@pytest.fixture
def beside(tmp_path, serve):
    """A server whose penstock.toml has these lines below [site]."""

    def begin(text, *arguments, **options):
        configure(tmp_path, text)
        tmp_path.joinpath("talker.py").write_text(textwrap.dedent(TALKER))
        return serve(*arguments, **options)

    return begin


def configure(directory, text):
    directory.joinpath("penstock.toml").write_text(f"[site]\n{textwrap.dedent(text)}")


def pid_of(server, name="queue"):
    return int(server.wait_for(rf"process {name} \(pid (\d+)\) is started")[1])


def status(server):
    out, err, code = server.command("status", "--json")
    assert (err, code) == ("", 0)
    return json.loads(out)


def has_ended(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def stop(server):
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert server.log.endswith("stopped\n")


def test_a_process_runs_beside_the_site_in_its_directory_with_its_variables(beside, tmp_path):
    tmp_path.joinpath(".env").write_text("SHOP=books\n")
    server = beside(
        """
        [site.processes.queue]
        command = "python talker.py queue"
        environment = { COLOUR = "red" }
        """
    )
    pid = pid_of(server)
    server.wait_for(f"info +queue: queue in {re.escape(str(tmp_path))} with books red$")
    assert os.path.samefile(f"/proc/{pid}/exe", sys.executable)
    assert server.get().startswith("one from")
    stop(server)
    assert "queue: heard SIGTERM" in server.log
    assert f"process queue (pid {pid}) has left" in server.log
    assert has_ended(pid)


def test_a_reload_restarts_what_runs_beside_and_a_failed_one_does_not(beside, tmp_path):
    server = beside('processes = { queue = "python talker.py first" }')
    first = pid_of(server)
    server.wait_for("queue: first in")
    tmp_path.joinpath("hello.py").write_text("1 / 0")
    assert server.command("reload")[2] == 1
    assert status(server)["processes"][0]["pid"] == first
    tmp_path.joinpath("hello.py").write_text(hello("two"))
    configure(tmp_path, 'processes = { queue = "python talker.py second", beat = "python talker.py beat" }')
    assert server.command("reload")[2] == 0
    server.wait_for("queue: heard SIGTERM")
    server.wait_for(rf"process queue \(pid {first}\) has left")
    server.wait_for("queue: second in")
    assert {one["name"] for one in status(server)["processes"]} == {"queue", "beat"}
    assert server.command("rollback")[2] == 0
    server.wait_for("queue: first in")
    assert [one["name"] for one in status(server)["processes"] if one["state"] != "stopping"] == ["queue"]
    stop(server)


def test_a_reload_that_names_no_processes_any_more_ends_them(beside, tmp_path):
    server = beside('processes = { queue = "python talker.py first" }')
    pid = pid_of(server)
    configure(tmp_path, "")
    assert server.command("reload")[2] == 0
    server.wait_for(rf"process queue \(pid {pid}\) has left")
    assert status(server)["processes"] == []
    stop(server)


def test_a_process_that_crashes_is_started_again_and_the_site_goes_on(beside):
    server = beside('processes = { queue = "python talker.py queue" }')
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    server.wait_for(rf"process queue \(pid {pid}\) was killed by SIGKILL.*; starting another in 0.1 s")
    second = pid_of(server)
    [facts] = status(server)["processes"]
    assert (facts["pid"], facts["restarts"], facts["state"]) == (second, 1, "running")
    assert server.get() == f"one from {server.pids[0]}"
    stop(server)


def test_a_program_that_there_is_not_is_named_and_the_site_serves(beside):
    server = beside('processes = { queue = "no-such-program --loud" }')
    server.wait_for("process queue cannot be started: No such file or directory: no-such-program; starting another in")
    assert server.get() == f"one from {server.pids[0]}"
    stop(server)


def test_a_process_that_ends_well_may_stay_away(beside):
    server = beside('[site.processes.once]\ncommand = "true"\nrestart = "on-failure"\n')
    server.wait_for(r"process once \(pid \d+\) exited with status 0; it is not started again \(restart = on-failure\)")
    assert status(server)["processes"][0]["state"] == "ended"
    stop(server)


def test_what_a_shell_has_started_is_ended_with_it(beside):
    server = beside('processes = { queue = "python talker.py inner & echo inner is $!; wait" }')
    pid_of(server)
    inner = int(server.wait_for(r"queue: inner is (\d+)")[1])
    server.wait_for("queue: inner in")
    stop(server)
    assert "queue: heard SIGTERM" in server.log
    assert has_ended(inner)


def test_what_a_process_leaves_behind_is_ended_before_another_one_starts(beside):
    server = beside('processes = { queue = "python talker.py inner & echo inner is $!; read line" }')
    inner = int(server.wait_for(r"queue: inner is (\d+)")[1])
    server.wait_for("starting another in")
    assert has_ended(inner)
    stop(server)


def test_a_process_that_does_not_leave_is_killed(beside):
    server = beside(
        """
        [site.processes.queue]
        command = "sh -c 'trap : TERM; echo deaf; while :; do read line < fifo; done'"
        stop_timeout = "100ms"
        """,
        source="import os\nos.path.exists('fifo') or os.mkfifo('fifo')\n" + hello("one"),
    )
    pid = pid_of(server)
    server.wait_for("queue: deaf")
    stop(server)
    assert f"process queue (pid {pid}) does not leave; killing it" in server.log
    assert has_ended(pid)


def test_nothing_outlives_a_supervisor_that_is_killed(beside):
    server = beside('processes.queue = { command = "sleep 1000", output = "pass" }')
    pid_of(server)
    server.send("KILL")
    # The process holds standard error too: it has no end before the process has.
    assert server.wait_for_end() == -signal.SIGKILL


def test_the_last_words_and_a_line_without_end_are_in_the_log(beside):
    server = beside('processes.queue = { command = "printf \'one\\ntwo\'; exit 3", restart = "never" }')
    server.wait_for("queue: one$")
    server.wait_for("queue: two$")
    server.wait_for("exited with status 3")
    stop(server)


def test_restart_replaces_one_process_and_the_site_does_not_notice(beside):
    server = beside('processes = { queue = "python talker.py queue", beat = "python talker.py beat" }')
    queue, beat = pid_of(server), pid_of(server, "beat")
    server.wait_for("queue: queue in")
    assert server.command("restart", "queue") == ("", "", 0)
    server.wait_for(rf"process queue \(pid {queue}\) has left")
    pid_of(server)
    assert status(server)["processes"][1]["pid"] == beat
    assert server.command("restart", "queues") == (
        "",
        "error: there is no process 'queues'\n\nhint: did you mean 'queue'?\n",
        2,
    )
    assert server.get() == f"one from {server.pids[0]}"
    stop(server)


def test_without_processes_there_is_nothing_to_restart(serve):
    assert serve().command("restart", "queue") == (
        "",
        "error: there are no processes beside the web\n\nhint: the setting processes names them\n",
        1,
    )


def test_a_procfile_is_understood(beside, tmp_path):
    tmp_path.joinpath("Procfile").write_text(
        "web: gunicorn x\nqueue: python talker.py queue\nrelease: echo migrated\n"
    )
    server = beside('processes = "Procfile"')
    assert "the line web of Procfile is not run: Penstock is the web" in server.log
    assert "release: migrated" in server.log
    server.wait_for("queue: queue in")
    stop(server)


def test_secrets_in_what_a_process_says_are_masked(beside, tmp_path):
    tmp_path.joinpath(".env").write_text("SHOP=hunter2-and-more\n")
    server = beside(
        """
        secrets = ["SHOP"]
        release = "echo key $SHOP"
        processes = { queue = "python talker.py queue" }
        """
    )
    server.wait_for("queue: queue in .* with •••• None$")
    stop(server)
    assert "release: key ••••" in server.log
    assert "hunter2" not in server.log


def test_secrets_in_what_a_failed_release_says_are_masked(beside, tmp_path):
    tmp_path.joinpath(".env").write_text("SHOP=hunter2-and-more\n")
    server = beside("secrets = ['SHOP']\nrelease = 'echo key $SHOP; test ! -e broken'\n")
    tmp_path.joinpath("broken").touch()
    _, err, code = server.command("reload")
    assert code == 1
    assert "key ••••" in err
    stop(server)
    assert "hunter2" not in err + server.log


def test_an_upgrade_starts_them_anew_and_ends_the_old_ones(beside):
    server = beside('processes = { queue = "python talker.py queue" }')
    first = pid_of(server)
    server.wait_for("queue: queue in")
    assert server.command("upgrade") == ("", "", 0)
    second = pid_of(server)
    server.wait_for(rf"process queue \(pid {first}\) has left")
    assert status(server)["processes"][0]["pid"] == second
    assert server.command("stop") == ("", "", 0)
    assert server.wait_for_end() == 0
    assert has_ended(second)


# -- jobs; six fields: the first one is seconds


def test_a_job_runs_on_time_and_the_status_tells_when_and_how(beside):
    server = beside('schedule = { "* * * * * *" = "echo tick" }')
    server.wait_for(r"job echo \(pid \d+\) is started")
    server.wait_for("info +echo: tick")
    server.wait_for(r"job echo \(pid \d+\) exited with status 0 after 0.\d s")
    [job] = status(server)["jobs"]
    assert job["runs"] >= 1
    assert job["last"]["is_success"]
    assert job["next"] > job["last"]["began"]
    out, _, _ = server.command("status")
    assert re.search(r"^echo +(\d+ +running|waiting) +\d+ +\d\d:\d\d:\d\d +ok in 0.\d s +\d\d:", out, re.MULTILINE)
    stop(server)


def test_a_run_that_would_overlap_is_skipped_with_a_line(beside, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    server = beside('[site.schedule.tidy]\ncron = "* * * * * *"\ncommand = "read line < fifo; echo got $line"\n')
    server.wait_for(r"job tidy \(pid (\d+)\) is started")
    server.wait_for(r"job tidy \(pid (\d+)\) still runs: a run is skipped")
    tmp_path.joinpath("fifo").write_text("enough\n")
    server.wait_for("tidy: got enough")
    server.wait_for("exited with status 0")
    server.wait_for(r"job tidy \(pid (\d+)\) is started")
    stop(server)


def test_a_job_that_takes_too_long_is_stopped(beside):
    server = beside('[site.schedule.tidy]\ncron = "* * * * * *"\ncommand = "python talker.py x"\ntimeout = "500ms"\n')
    server.wait_for(r"job tidy \(pid (\d+)\) takes longer than its timeout; stopping it")
    server.wait_for(r"job tidy \(pid (\d+)\) (was killed by|exited with)")
    stop(server)


# -- the release command


def test_the_release_command_runs_before_the_code_is_loaded_at_the_start_and_at_a_reload(beside, tmp_path):
    server = beside(
        'release = ["echo WORD=1 > word.py && echo migrated", "cat word.py"]', source="import word\n" + hello("one")
    )
    assert re.findall("release: (.*)", server.log) == [
        "echo WORD=1 > word.py && echo migrated",
        "migrated",
        "cat word.py",
        "WORD=1",
    ]
    assert server.command("reload") == ("generation 2 serves\n", "", 0)
    server.wait_for("release: migrated")
    assert server.command("rollback") == ("generation 1 serves\n", "", 0)
    os.kill(server.wait_for_worker(1), signal.SIGKILL)
    server.wait_for_worker(1)
    stop(server)
    assert server.log.count("release: migrated") == 2


def test_a_release_command_that_fails_keeps_the_old_code_and_who_asked_sees_why(beside, tmp_path):
    server = beside('release = "test ! -e broken || { echo no such table; exit 3; }"')
    tmp_path.joinpath("broken").touch()
    tmp_path.joinpath("hello.py").write_text(hello("two"))
    out, err, code = server.command("reload")
    assert (out, code) == ("", 1)
    assert err.startswith("error: the release command `test ! -e broken || { echo no such table; exit 3; }` exited")
    assert "\n\nno such table\n\nhint: " in err
    assert server.get() == f"one from {server.pids[0]}"
    stop(server)


@pytest.mark.parametrize(
    ("release", "message", "output"),
    [
        ("echo no such table && exit 3", "` exited with status 3", "\n\nno such table\n\n"),
        ("no-such-program", "cannot be started: No such file or directory: no-such-program", ""),
    ],
)
def test_a_release_command_that_fails_at_the_first_start_is_the_end(launch, tmp_path, release, message, output):
    configure(tmp_path, f"release = {release!r}\nprocesses = {{ queue = 'true' }}")
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    server = launch("hello", "--bind", "127.0.0.1:0")
    assert server.wait_for_end() == 1
    assert message in server.log
    assert output in server.log
    assert "is started" not in server.log


def test_a_release_command_that_takes_too_long_is_ended(launch, tmp_path):
    configure(tmp_path, "release = 'echo begun; sleep 1000; true'\nrelease_timeout = '200ms'")
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    server = launch("hello", "--bind", "127.0.0.1:0")
    assert server.wait_for_end() == 1
    assert "took longer than 200ms" in server.log
    assert "\n\nbegun\n\nhint: more time is release_timeout" in server.log


def test_a_stop_ends_the_release_command_too(launch, tmp_path):
    configure(tmp_path, "release = 'echo begun with $$; sleep 1000; true'")
    tmp_path.joinpath("hello.py").write_text(hello("one"))
    server = launch("hello", "--bind", "127.0.0.1:0")
    pid = int(server.wait_for(r"release: begun with (\d+)")[1])
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert has_ended(pid)
