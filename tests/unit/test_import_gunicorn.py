import pytest
from imports import SAMPLES, import_text, run_import

from penstock.cli import main
from penstock.interop.importing import gunicorn


def test_a_configuration_file_becomes_settings(capsys, tmp_path):
    imported = run_import(capsys, tmp_path, SAMPLES / "gunicorn.conf.py")
    config = imported.config()
    assert (config.app, config.bind, config.workers, config.threads) == (
        "shop.wsgi:application",
        ["0.0.0.0:8000"],
        3,
        4,
    )
    assert (config.timeout, config.keep_alive_timeout, config.umask, config.log_level) == (60, 5, "007", "warning")
    assert config.environment == {"DJANGO_SETTINGS_MODULE": "shop.settings", "SECRET_KEY": "not-for-the-report"}


def test_every_assignment_is_in_the_report(capsys, tmp_path):
    imported = run_import(capsys, tmp_path, SAMPLES / "gunicorn.conf.py")
    verdicts = {text.split(" ")[0]: verdict for text, verdict in imported.verdicts.items()}
    assert verdicts["timeout"] == "changed in meaning"
    assert verdicts["certfile"] == "not supported"
    assert verdicts["worker_class"] == "not needed any more"
    assert verdicts["prelaod_app"] == "unknown"
    assert verdicts["def"] == "not supported"
    assert "did you mean 'preload_app'?" in imported.notes["prelaod_app = True"]
    assert "not-for-the-report" not in str(imported.report["directives"])


def test_every_setting_of_gunicorn_has_an_outcome(capsys, tmp_path):
    known = pytest.importorskip("gunicorn.config", reason="Gunicorn is not installed").KNOWN_SETTINGS
    values = {setting.name: setting.default for setting in known}
    literal = {name: value if type(value) in (int, str, bool, list, dict) else None for name, value in values.items()}
    text = "".join(f"{name} = {value!r}\n" for name, value in literal.items() if not callable(values[name]))
    text += "".join(f"def {name}(*_): pass\n" for name, value in values.items() if callable(value))
    imported = import_text(capsys, tmp_path, "gunicorn.conf.py", text)
    assert [text for text, verdict in imported.verdicts.items() if verdict == "unknown"] == []
    assert len(imported.lines) == len(values)


def test_what_is_worked_out_from_the_machine_is_said(capsys, tmp_path):
    imported = import_text(capsys, tmp_path, "g.py", "import os\nworkers = os.cpu_count() * 2\n")
    assert 'workers = "auto" follows the machine' in " ".join(imported.report["notes"])


def test_a_file_sees_no_variable_of_this_shell_but_those_that_it_is_given(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "secret")
    source = "from os import environ\nbind = ':' + environ.get('PORT', '1')\nworkers = 1 + ('API_TOKEN' in environ)\n"
    imported = import_text(capsys, tmp_path, "g.py", source, "--environment", "PORT=8123")
    assert (imported.config().bind, imported.config().workers) == (["0.0.0.0:8123"], 1)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("bind = (\n", "g.py:1:8"),
        ("workers = 1\ntimeout = 1 / 0\n", "g.py:2:1: ZeroDivisionError"),
        ("import os\nos.environ['MISSING']\n", "g.py:2:1: KeyError: 'MISSING'"),
        ("import os\nos._exit(3)\n", "g.py:1:1: it ended its process"),
        ("import sys\nsys.exit('no')\n", "g.py:2:1: SystemExit: no"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(capsys, tmp_path, source, place):
    path = tmp_path / "g.py"
    path.write_text(source)
    assert main(["import", "--kind=gunicorn", str(path), "--output", str(tmp_path / "penstock.toml")]) == 2
    assert place in capsys.readouterr().err
    assert not (tmp_path / "penstock.toml").exists()


def test_a_file_that_does_not_end_is_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(gunicorn, "DEADLINE", 1)
    path = tmp_path / "g.py"
    path.write_text("bind = ''\nwhile True: pass\n")
    assert main(["import", str(path), "--output", str(tmp_path / "penstock.toml")]) == 2
    assert "did not end within 1 seconds" in capsys.readouterr().err


def test_what_a_file_prints_is_no_part_of_its_settings(capsys, tmp_path):
    assert import_text(capsys, tmp_path, "g.py", "print('{}')\nworkers = 7\n").config().workers == 7


def test_a_value_that_penstock_does_not_take_leaves_the_default(capsys, tmp_path):
    imported = import_text(capsys, tmp_path, "g.py", "workers = 5000\nbind = 'no:such:port'\n")
    assert imported.config().workers == "auto"
    assert set(imported.verdicts.values()) == {"not supported"}


def test_the_environment_of_the_project_is_a_setting_and_no_variable(capsys, tmp_path):
    config = import_text(capsys, tmp_path, "g.py", "raw_env = ['DJANGO_ENV=production', 'A=1']\n").config()
    assert (config.env, config.environment) == ("production", {"A": "1"})
