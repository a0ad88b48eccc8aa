import json
import os
import subprocess
import sys

import pytest

from penstock.cgroups import Ground
from penstock.cli import main, working_directory
from penstock.command_line import WORDS_FIRST
from penstock.settings import LAYERED


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["serve", "--worker", "3"], "did you mean '--workers'?"),
        (["serve", "--worker=3", "app:application"], "did you mean '--workers'?"),
        (["check", "--deplyo"], "did you mean '--deploy'?"),
        (["status", "--jsn", "shop"], "did you mean '--json'?"),
        (["status", "--workers"], "`penstock status --help` lists what there is"),
        (["serve", "--bogus"], "`penstock serve --help` lists what there is"),
        (["status", "shop", "blog"], WORDS_FIRST),
    ],
)
def test_what_a_command_does_not_take_comes_with_the_nearest_option(capsys, words, hint):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: unrecognized arguments: ")
    assert error.endswith(f"hint: {hint}\n")


@pytest.mark.parametrize("command", ["explain", "check", "serve"])
@pytest.mark.parametrize(
    ("form", "reason", "hint"),
    [
        ("%(h)s %(Z)s", "there is no atom %(Z)s", "known are %(X)s with X one of h l u t"),
        ("common", '"common" names nothing to log', "use combined, json, or atoms such as %(r)s"),
    ],
)
def test_a_format_that_the_access_log_cannot_have_is_refused_also_without_one(capsys, command, form, reason, hint):
    assert main([command, "--access-log-format", form]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: access_log_format cannot be '{form}' (--access-log-format): {reason}\n\n")
    assert f"hint: {hint}" in error


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["mysite.wsgi"], "there is no command 'mysite.wsgi'", "did you mean `penstock serve mysite.wsgi`?"),
        (["a/wsgi.py"], "there is no command 'a/wsgi.py'", "did you mean `penstock serve a/wsgi.py`?"),
        (["stat"], "there is no command 'stat'", "did you mean 'status'?"),
        (["-w", "4"], "there is no command '4'", "`penstock --help` lists the commands; options follow the command"),
    ],
)
def test_a_word_that_is_no_command_comes_with_what_was_meant(capsys, words, message, hint):
    assert main(words) == 2
    assert capsys.readouterr().err == f"error: {message}\n\nhint: {hint}\n"


def test_a_wrong_value_is_an_error_that_names_the_option(capsys):
    assert main(["serve", "--head-timeout", "soon"]) == 2
    assert "head_timeout cannot be 'soon' (--head-timeout): expected a duration" in capsys.readouterr().err


def test_the_help_of_serve_names_every_setting(capsys):
    with pytest.raises(SystemExit) as left:
        main(["serve", "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert [setting.flag for setting in LAYERED if setting.flag not in text] == []
    assert "[v6]:port" in " ".join(text.split())


def test_a_reader_who_has_had_enough_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "penstock", "explain", "shop.wsgi"]
    left = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (left.returncode, left.stderr) == (141, "")


def test_a_command_with_many_options_says_what_it_does_before_it_lists_them(capsys):
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    assert capsys.readouterr().out.startswith("Usage: penstock check [OPTION ...] [TARGET]\n\nChecks the project")


@pytest.mark.parametrize("words", [["explain", "shop.wsgi"], ["--help"], ["--version"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_finds_no_room_is_an_error_in_a_sentence(words, unbuffered):
    with open("/dev/full", "w") as full:
        left = subprocess.run(
            [sys.executable, "-m", "penstock", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            text=True,
            check=False,
        )
    assert left.stderr == "error: standard output cannot be written: No space left on device\n"
    assert left.returncode == 1


def test_a_closed_output_is_replaced_by_one_that_is_thrown_away(tmp_path):
    tmp_path.joinpath("seen.py").write_text(
        "import os, sys\nfrom penstock.cli import main\nstatus = main(['explain'])\n"
        "sys.exit(f'{status} {os.readlink(\"/proc/self/fd/1\")} {os.get_inheritable(1)}')\n"
    )
    command = f"exec {sys.executable} seen.py >&-"
    left = subprocess.run(["sh", "-c", command], cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)
    assert left.stderr == "0 /dev/null True\n"


def test_an_interrupt_ends_a_command_without_a_traceback(tmp_path):
    tmp_path.joinpath("shop.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    words = [sys.executable, "-m", "penstock", "check", "shop"]
    left = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (left.returncode, left.stdout, left.stderr) == (130, "", "")


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("penstock 0.")


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 2
    assert "serve" in capsys.readouterr().out


def test_explain_prints_values_with_their_origin(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_THREADS", "3")
    assert main(["explain", "shop.wsgi", "--workers", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    values = {row["name"]: (row["value"], row["origin"]) for row in told["settings"]}
    assert values["workers"] == (2, "--workers")
    assert values["threads"] == (3, "PENSTOCK_THREADS")
    assert values["bind"] == (["127.0.0.1:8000"], "default")
    assert told["application"]["chosen_by"] == "TARGET"


def test_explain_names_the_settings_module_and_who_chose_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    tmp_path.joinpath("manage.py").write_text(
        'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n# django\n'
    )
    assert main(["explain"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["settings", "module", "shop.settings"] in lines
    assert ["settings", "chosen", "by", "manage.py"] in lines


def test_explain_shows_variables_with_their_origins_and_no_secret(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath(".env").write_text("SIGNING_KEY=correct-horse\nCACHE=redis://:battery-staple@cache\n")
    arguments = ["explain", "hello", "--environment", "API_TOKEN=staple", "--environment", "GREETING=hello"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    lines = [line.split() for line in text.splitlines()]
    assert ["GREETING", "hello", "--environment"] in lines
    assert ["API_TOKEN", "••••", "--environment"] in lines
    assert ["SIGNING_KEY", "••••", ".env"] in lines
    assert ["CACHE", "redis://:••••@cache", ".env"] in lines
    assert main([*arguments, "--json"]) == 0
    text += capsys.readouterr().out
    assert "horse" not in text
    assert "staple" not in text


def test_explain_names_who_else_has_named_a_settings_module(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop.live")
    tmp_path.joinpath("manage.py").write_text(
        'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n# django\n'
    )
    assert main(["explain", "--settings", "shop.test"]) == 0
    text = capsys.readouterr().out
    assert "shop.live (DJANGO_SETTINGS_MODULE in the environment), shop.settings (manage.py)" in text


def test_the_working_directory_keeps_the_name_of_a_link_that_leads_to_it(tmp_path, monkeypatch):
    tmp_path.joinpath("release").mkdir()
    link = tmp_path / "current"
    link.symlink_to("release")
    monkeypatch.chdir(link)
    monkeypatch.setenv("PWD", str(link))
    assert working_directory() == str(link)
    for stale in ("/", "current", str(tmp_path / "gone")):
        monkeypatch.setenv("PWD", stale)
        assert working_directory() == str(tmp_path / "release")


def test_explain_says_where_memory_of_a_whole_site_becomes_memory_of_each_process(tmp_path, monkeypatch, capsys):
    (tmp_path / "penstock.toml").write_text('[sites.shop]\nhosts = ["shop"]\nsite_memory = "1GiB"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("penstock.explain.own_ground", lambda: Ground("", "/unit has no memory controller"))
    assert main(["explain", "--site", "shop"]) == 0
    assert "1GiB (for each process: /unit has no memory controller)" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["serve"], ["explain"], ["status"], ["startproject", "shop"]])
def test_a_working_directory_that_was_removed_is_an_error_in_a_sentence(tmp_path, words):
    tmp_path.joinpath("release").mkdir()
    left = subprocess.run(
        ["sh", "-c", 'cd release; rmdir ../release; exec "$0" -m penstock "$@"', sys.executable, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert left.stderr.startswith("error: the working directory is not there any more\n")
    assert left.returncode == 1
