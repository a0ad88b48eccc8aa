import argparse

import pytest

from penstock.cli import main
from penstock.command_line import build_parser, complete
from penstock.errors import UsageError
from penstock.gunicorn_flags import FLAGS
from penstock.settings import TABLE


def parse(*words):
    """What `penstock serve WORDS` would set."""
    words = complete(["serve", *words])
    options = vars(build_parser(words).parse_args(words))
    return {name: value for name, value in options.items() if name not in ("command", "version")}


def test_every_flag_of_gunicorn_is_accepted_or_refused_with_a_hint():
    gunicorn = pytest.importorskip("gunicorn.config", reason="Gunicorn is not installed")
    told = {}
    for flag in vars(gunicorn.Config().parser())["_option_string_actions"].values():
        for name in flag.option_strings:
            if name in ("-h", "--help"):
                continue
            values = [] if flag.nargs in (0, "?") else ["4"]
            try:
                told[name] = parse(name, *values)
            except UsageError as refused:
                told[name] = refused.hint
    assert [name for name, outcome in told.items() if not outcome or "lists what there is" in outcome] == []


def test_the_table_has_no_flag_twice_and_none_of_our_own():
    names = [name for flag in FLAGS for name in flag.names] + [setting.flag for setting in TABLE]
    assert len(set(names)) == len(names)


def test_a_usual_command_line_is_understood():
    options = parse(
        *("mysite.wsgi", "-w", "4", "-b", ":8000", "--access-logfile", "-", "--max-requests-jitter", "50"),
        *("--worker-tmp-dir", "/dev/shm", "-k", "gthread", "--pid", "x.pid", "-t", "60", "--preload"),
        *("--forwarded-allow-ips", "*", "--keep-alive=5", "--log-file", "errors", "--no-control-socket"),
    )
    notes = options.pop("notes")
    assert options == {
        "app": "mysite.wsgi",
        "workers": "4",
        "bind": [":8000"],
        "access_log": "-",
        "max_requests_jitter": "50",
        "pid_file": "x.pid",
        "timeout": "60",
        "preload": "auto",
        "forwarded_allow": ["*"],
        "keep_alive_timeout": "5",
        "error_log": "errors",
        "control": "off",
    }
    assert notes == [
        "--worker-tmp-dir, a flag of Gunicorn, changes nothing: workers need no heartbeat files",
        "-k, a flag of Gunicorn, changes nothing: workers have threads, as many as --threads says",
    ]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("--daemon", "--daemon is a flag of Gunicorn that Penstock does not have", "systemd"),
        ("-D", "--daemon is a flag of Gunicorn that Penstock does not have", "systemd"),
        ("-k gevent", "there are no gevent workers", "only sync and gthread"),
        ("-k uvicorn.workers.UvicornWorker", "there are no uvicorn.workers.UvicornWorker workers", "wsgi module"),
        ("--certfile x.pem", "--certfile is a flag of Gunicorn that Penstock does not have", "proxy"),
        ("--protocol uwsgi", "--protocol cannot be 'uwsgi'", "--bind uwsgi:ADDR"),
    ],
)
def test_what_there_is_not_is_refused_with_what_to_do(words, message, hint):
    with pytest.raises(UsageError) as refused:
        parse("mysite.wsgi", *words.split())
    assert refused.value.message.startswith(message)
    assert hint in refused.value.hint


def test_a_preload_with_a_value_is_our_own():
    assert parse("--preload", "never", "mysite.wsgi") == {"preload": "never", "app": "mysite.wsgi"}
    assert parse("--preload", "mysite.wsgi") == {"preload": "auto", "app": "mysite.wsgi"}


def test_lists_of_both_kinds_of_flags_come_together():
    words = ["--forwarded-allow-ips", "10.0.0.1,10.0.0.2", "--forwarded-allow", "::1", "--forwarded-allow-ips", "unix"]
    assert parse(*words) == {"forwarded_allow": ["10.0.0.1", "10.0.0.2", "::1", "unix"]}


def test_a_mode_of_the_proxy_protocol_is_taken_for_both():
    assert parse("--proxy-protocol", "v1", "mysite.wsgi") == {"proxy_protocol": True, "app": "mysite.wsgi"}


def test_variables_of_gunicorn_become_the_site_s():
    assert parse("-e", "DEBUG=1", "-e", "A=b", "mysite.wsgi")["environment"] == ["DEBUG=1", "A=b"]
    assert parse("-e", "production", "mysite.wsgi")["env"] == "production"


def test_a_variable_given_with_env_is_an_error_that_says_where_variables_belong(capsys):
    assert main(["serve", "mysite.wsgi", "--env", "DEBUG=1"]) == 2
    assert "the variables are --environment NAME=VALUE" in capsys.readouterr().err


def test_a_configuration_in_python_is_an_error_that_names_our_own(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("gunicorn.conf.py").write_text("import os\n")
    assert main(["explain", "-c", "gunicorn.conf.py"]) == 2
    assert "hint: a gunicorn.conf.py is Python: write its settings into penstock.toml" in capsys.readouterr().err


def test_the_flags_of_gunicorn_are_not_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--access-logfile", "-", "--help"])
    text = capsys.readouterr().out
    assert "--access-log " in text
    assert "--access-logfile" not in text
    assert argparse.SUPPRESS not in text
