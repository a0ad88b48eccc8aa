import json
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from penstock.companions.plan import Command, Plan, plan_of
from penstock.companions.procfile import parse
from penstock.companions.schedule import next_run
from penstock.config import load
from penstock.errors import ConfigurationError
from penstock.kinds import Commands, TimeZone
from penstock.settings import BY_NAME


def command(text):
    return Command("x", text, {}, "log", "TERM", 30.0)


def plan_in(directory, text="", **arguments):
    directory.joinpath("penstock.toml").write_text(text)
    config = load(arguments, {}, str(directory))
    return plan_of(config, str(directory), {"PATH": "/usr/bin", "SHOP": "1"}, "/venv/bin/python")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("celery -A shop worker", ["celery", "-A", "shop", "worker"]),
        ("say 'two words'", ["say", "two words"]),
        ("a && b", ["/bin/sh", "-c", "a && b"]),
        ("a | b", ["/bin/sh", "-c", "a | b"]),
        ("echo $HOME", ["/bin/sh", "-c", "echo $HOME"]),
        ("DEBUG=1 run", ["/bin/sh", "-c", "DEBUG=1 run"]),
        ("ls *.py", ["/bin/sh", "-c", "ls *.py"]),
        ("run --level=3", ["run", "--level=3"]),
    ],
)
def test_only_what_needs_a_shell_gets_one(text, words):
    assert command(text).words == words


def test_a_plan_survives_its_way_through_messages(tmp_path):
    plan = plan_in(
        tmp_path,
        """
        [site]
        release = "migrate"
        secrets = ["SHOP"]
        [site.processes]
        queue = { command = "celery", count = 2, stop_signal = "QUIT", environment = { A = "ä" } }
        [site.schedule]
        tidy = { cron = "*/5 * * * *", command = "tidy", timeout = "5m", overlap = "queue" }
        """,
    )._replace(environment={"LARGE": 'a"b\\' * 100_000})
    parts = list(plan.parts())
    assert len(parts) > 2
    assert all(len(json.dumps({"part": part})) < 200_000 for part in parts)
    assert Plan.from_text("".join(parts)) == plan
    assert [one.command.name for one in plan.processes] == ["queue.1", "queue.2"]
    assert plan.processes[0].command.environment == {"A": "ä"}
    assert (plan.jobs[0].timeout, plan.jobs[0].overlap) == (300, "queue")


def test_the_directory_of_the_python_is_searched_first_and_the_other_variables_stay(tmp_path):
    plan = plan_in(tmp_path)
    assert plan.environment == {"PATH": "/venv/bin:/usr/bin", "SHOP": "1", "PYTHONUNBUFFERED": "1"}


def test_without_its_own_stop_timeout_a_process_has_the_graceful_timeout(tmp_path):
    text = '[site]\ngraceful_timeout = "7s"\n[site.processes]\na = "a"\nb = {command = "b", stop_timeout = "1s"}\n'
    assert [one.command.stop_timeout for one in plan_in(tmp_path, text).processes] == [7, 1]


def test_jobs_that_have_only_a_time_are_named_after_their_command(tmp_path):
    text = """
        [site.schedule]
        "*/5 * * * *" = "python manage.py clearsessions --verbosity 0"
        "0 3 * * *" = "/usr/bin/rsync a b"
        "0 4 * * *" = "python manage.py clearsessions"
        """
    assert [job.command.name for job in plan_in(tmp_path, text).jobs] == ["clearsessions", "rsync", "clearsessions.2"]


def test_the_command_line_and_the_environment_name_processes_and_jobs_too(tmp_path):
    plan = plan_in(
        tmp_path, processes=["queue=celery -A shop, please", "beat=celery beat"], schedule=["*/5 * * * *=tidy a=b"]
    )
    assert [one.command.text for one in plan.processes] == ["celery -A shop, please", "celery beat"]
    assert [(job.cron, job.command.text) for job in plan.jobs] == [("*/5 * * * *", "tidy a=b")]
    given = BY_NAME["processes"].kind.read('{"queue": {"command": "celery", "count": 3}}', "/")
    assert given["queue"]["count"] == 3


def test_a_procfile_names_processes_and_the_release_command(tmp_path):
    tmp_path.joinpath("Procfile").write_text(
        "# for Heroku\nweb: gunicorn shop.wsgi\n\nrelease: python manage.py migrate\nqueue: celery -A shop worker\n"
    )
    plan = plan_in(tmp_path, '[site]\nprocesses = "Procfile"\n')
    assert [(one.command.name, one.restart) for one in plan.processes] == [("queue", "always")]
    assert [one.text for one in plan.release] == ["python manage.py migrate"]
    assert [one.text for one in plan_in(tmp_path, processes=["Procfile"], release=["mine"]).release] == ["mine"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("queue: celery\nnonsense\n", "Procfile:2 is no line of the form NAME: COMMAND"),
        ("queue: a\nqueue: b\n", "Procfile:2: there is a line queue already"),
    ],
)
def test_a_procfile_that_cannot_be_meant_is_refused(text, message):
    with pytest.raises(ConfigurationError, match=message):
        parse(text, "Procfile")


def test_a_procfile_that_is_not_there_is_named_with_its_origin(tmp_path):
    tmp_path.joinpath("Procfile").write_text("")
    with pytest.raises(ConfigurationError) as caught:
        plan_in(tmp_path, '[site]\nprocesses = "Procfil"\n')
    assert caught.value.message.startswith("processes (")
    assert caught.value.message.endswith("Procfil, which cannot be read: No such file or directory")
    assert caught.value.hint == "did you mean 'Procfile'?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[site.processes]\nqueue = ""', "command of 'queue': it cannot be ''"),
        ('[site.processes]\nqueue = "a \'b"', "no closing quotation"),
        ('[site.processes]\n"a b" = "c"', "'a b' is no name of letters"),
        ('[site.processes.queue]\ncomand = "a"', "comand of 'queue': there is no such key; did you mean 'command'?"),
        ("[site.processes.queue]\ncount = 2", "'queue': command is missing"),
        ('[site.processes.queue]\ncommand = "a"\nstop_signal = "TREM"', "stop_signal of 'queue'"),
        ('[site.processes.queue]\ncommand = "a"\nrestart = "yes"', "always, on-failure, never"),
        ("[site]\nprocesses = 3", "expected NAME=COMMAND, or the path of a Procfile"),
        ('[site.schedule]\n"often" = "a"', "'often' is no cron expression"),
        ('[site.schedule]\ntidy = {cron = "61 * * * *", command = "a"}', r"cron of 'tidy': '61 \* \* \* \*'"),
        ('[site]\nschedule_time_zone = "Europe/Berlim"', "the system knows no 'Europe/Berlim'"),
        ("[site]\nrelease = [3]", "expected a command line"),
    ],
)
def test_a_mistake_in_the_configuration_is_refused_with_its_place(tmp_path, text, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        plan_in(tmp_path, text)
    assert "penstock.toml:" in str(caught.value)


def test_secrets_in_the_variables_of_a_process_are_shown_to_nobody(tmp_path):
    text = '[site.processes.queue]\ncommand = "a"\nenvironment = { API_TOKEN = "hunter2", NUMBER = 3 }\n'
    with pytest.raises(ConfigurationError) as caught:
        plan_in(tmp_path, text)
    assert "hunter2" not in str(caught.value)
    kind = BY_NAME["processes"].kind
    value = kind.read({"queue": {"command": "a", "environment": {"API_TOKEN": "hunter2"}}}, "/")
    assert "hunter2" not in json.dumps(kind.disclose(value)) + kind.show(value)


def test_commands_keep_their_commas():
    assert Commands().read("tidy a,b", "/") == ["tidy a,b"]
    assert Commands().show(["a", "b"]) == "a && b"


def test_an_empty_flag_leaves_out_what_the_file_names(tmp_path):
    text = '[site]\nrelease = "migrate"\nprocesses.queue = "celery"\nschedule = { "* * * * *" = "tidy" }\n'
    plan = plan_in(tmp_path, text, release=[""], processes=[""], schedule=[""])
    assert (plan.release, plan.processes, plan.jobs) == ([], [], [])


def test_a_job_is_due_by_the_clock_of_its_time_zone():
    after = datetime(2026, 11, 21, 12, 1, tzinfo=UTC).timestamp()
    assert next_run("30 14 * * *", after, ZoneInfo("Europe/Berlin")) == after + 89 * 60
    assert next_run("30 14 * * *", after, UTC) == after + 149 * 60


def test_hours_that_come_twice_or_never_are_those_of_the_clock():
    berlin = ZoneInfo("Europe/Berlin")
    spring = datetime(2026, 3, 29, 1, 0, tzinfo=berlin).timestamp()
    assert next_run("30 2 * * *", spring, berlin) - spring <= 3600 + 1800
    autumn = datetime(2026, 10, 25, 1, 59, tzinfo=berlin).timestamp()
    times = [autumn]
    for _ in range(24):
        times.append(next_run("*/10 * * * *", times[-1], berlin))
    assert {later - time for time, later in pairwise(times[1:])} == {600}


def test_no_time_zone_is_the_machines():
    assert TimeZone().read("", "/") == ""
