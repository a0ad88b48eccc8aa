import pytest
from imports import SAMPLES, import_text, run_import, significant_lines

from penstock.cli import main


def test_a_procfile_gives_its_web_process(capsys, tmp_path):
    imported = run_import(capsys, tmp_path, SAMPLES / "Procfile")
    config = imported.config()
    assert (config.app, config.workers, config.timeout) == ("shop.wsgi", 3, 45)
    assert imported.verdicts["release: python manage.py migrate"] == "not supported"
    assert imported.verdicts["--bind 0.0.0.0:$PORT"] == "not supported"
    assert "`web: penstock serve --bind 0.0.0.0:$PORT`" in " ".join(imported.report["notes"])


def test_a_unit_gives_its_command_variables_and_directory(capsys, tmp_path):
    secrets = tmp_path / "shop.env"
    secrets.write_text("API_TOKEN=not-for-the-report\nREGION=eu\n")
    text = (SAMPLES / "shop.service").read_text().replace("/etc/shop.env", str(secrets))
    imported = import_text(capsys, tmp_path, "shop.service", text)
    config = imported.config()
    assert (config.app, config.chdir, config.workers) == ("shop.wsgi:application", "/srv/shop", 5)
    assert config.bind == ["unix:/run/shop/gunicorn.sock"]
    assert config.environment == {"DJANGO_SETTINGS_MODULE": "shop.settings", "WORKERS": "5", "REGION": "eu"}
    assert config.secrets == ["API_TOKEN"]
    assert "not-for-the-report" not in str(imported.report)


def test_every_line_of_a_unit_is_in_the_report(capsys, tmp_path):
    sample = SAMPLES / "shop.service"
    text = sample.read_text().splitlines()
    wanted = {number for number in significant_lines(sample) if not text[number - 1].startswith("[")}
    assert {line for _, line in run_import(capsys, tmp_path, sample).lines} == wanted


def test_a_dockerfile_gives_the_command_of_its_last_stage(capsys, tmp_path):
    sample = SAMPLES / "Dockerfile"
    imported = run_import(capsys, tmp_path, sample)
    config = imported.config()
    assert (config.app, config.bind, config.workers, config.threads) == ("shop.wsgi", ["0.0.0.0:8000"], 4, 4)
    assert {line for file, line in imported.lines if file == "Dockerfile"} == significant_lines(sample)
    assert any("python manage.py migrate" in note for note in imported.notes.values())


@pytest.mark.parametrize(
    "command",
    [
        "gunicorn shop.wsgi -w 3",
        "exec env DEBUG=0 /opt/venv/bin/gunicorn -w3 shop.wsgi",
        "uv run python -m gunicorn --workers=3 shop.wsgi",
        "python manage.py migrate && gunicorn shop.wsgi --workers 3",
        "uwsgi --module shop.wsgi --master --processes 3",
        "uwsgi -w shop.wsgi -M -p 3",
    ],
)
def test_a_server_is_found_among_other_words(capsys, tmp_path, command):
    config = import_text(capsys, tmp_path, "Procfile", f"web: {command}\n").config()
    assert (config.app, config.workers) == ("shop.wsgi", 3)


def test_the_command_line_wins_over_the_variable_and_the_variable_over_the_file(capsys, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("workers = 1\nthreads = 1\ntimeout = 11\n")
    text = "web: gunicorn shop.wsgi --threads 3\n"
    arguments = "GUNICORN_CMD_ARGS=--threads=2 --workers=2"
    imported = import_text(capsys, tmp_path, "Procfile", text, "--environment", arguments)
    config = imported.config()
    assert (config.workers, config.threads, config.timeout) == (2, 3, 11)
    assert imported.notes["workers = 1"].startswith("overridden by")


def test_nothing_is_written_over_without_force(capsys, tmp_path):
    output = tmp_path / "penstock.toml"
    output.write_text("# mine\n")
    source = tmp_path / "Procfile"
    source.write_text("web: gunicorn shop.wsgi\n")
    assert main(["import", str(source), "--output", str(output)]) == 2
    assert output.read_text() == "# mine\n"
    assert main(["import", str(source), "--output", str(output), "--force"]) == 0
    assert 'app = "shop.wsgi"' in output.read_text()


def test_a_dry_run_shows_and_writes_nothing(capsys, tmp_path):
    source = tmp_path / "Procfile"
    source.write_text("web: gunicorn shop.wsgi\n")
    assert main(["import", str(source), "--output", str(tmp_path / "penstock.toml"), "--dry-run"]) == 0
    assert 'app = "shop.wsgi"' in capsys.readouterr().out
    assert not (tmp_path / "penstock.toml").exists()


def test_the_report_can_be_a_file(capsys, tmp_path):
    source = tmp_path / "Procfile"
    source.write_text("web: gunicorn shop.wsgi\n")
    report = tmp_path / "report.txt"
    assert main(["import", str(source), "--output", str(tmp_path / "penstock.toml"), "--report", str(report)]) == 0
    assert "carried over (1)" in report.read_text()
    assert "carried over (1)" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "words_and_said"),
    [
        ("Procfile", "web gunicorn\n", ([], "Procfile:1:1")),
        ("Procfile", "web: gunicorn 'shop\n", ([], "Procfile:1:6: no closing quotation")),
        ("Dockerfile", "FROM x\nCMD [gunicorn]\n", ([], "Dockerfile:2:1")),
        ("x.service", "[Service\n", ([], "x.service:1:1")),
        ("notes", "hello\n", ([], "notes:1:1: it is not clear what kind of file this is")),
        ("notes", "hello\n", (["--kind", "gunicron"], "did you mean 'gunicorn'?")),
        ("Procfile", "web: gunicorn\n", (["--environment", "PORT"], "expected NAME=VALUE")),
    ],
)
def test_a_wrong_file_or_word_is_refused(capsys, tmp_path, name, text, words_and_said):
    words, said = words_and_said
    source = tmp_path / name
    source.write_text(text)
    assert main(["import", str(source), "--output", str(tmp_path / "penstock.toml"), *words]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_no_text_or_not_there_is_refused(capsys, tmp_path):
    source = tmp_path / "uwsgi.ini"
    source.write_bytes(b"[uwsgi]\nmodule = \xff\n")
    assert main(["import", str(source), "--output", str(tmp_path / "penstock.toml")]) == 2
    assert "uwsgi.ini:2:10: this is no text in UTF-8" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "none.ini"), "--output", str(tmp_path / "penstock.toml")]) == 2
    assert "cannot be read: No such file or directory" in capsys.readouterr().err


def test_what_is_written_over_by_force_is_for_its_owner_alone_and_stays_whole(capsys, tmp_path, monkeypatch):
    source, output = tmp_path / "Procfile", tmp_path / "penstock.toml"
    source.write_text("web: gunicorn shop.wsgi --env SECRET_KEY=hushed\n")
    output.write_text("# mine\n")
    output.chmod(0o644)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("penstock.interop.importing.command.os.replace", refuse)
        assert main(["import", str(source), "--output", str(output), "--force"]) == 2
    assert "cannot be written: No space left on device" in capsys.readouterr().err
    assert output.read_text() == "# mine\n"
    assert main(["import", str(source), "--output", str(output), "--force"]) == 0
    assert output.stat().st_mode & 0o777 == 0o600
    assert sorted(tmp_path.iterdir()) == [source, output]


def test_a_report_goes_to_a_stream_as_to_a_file(tmp_path):
    source = tmp_path / "Procfile"
    source.write_text("web: gunicorn shop.wsgi\n")
    words = ["import", str(source), "--output", str(tmp_path / "penstock.toml"), "--report"]
    assert main([*words, "/dev/null"]) == 0
    assert main([*words, str(tmp_path / "report"), "--force"]) == 0
    assert "carried over" in tmp_path.joinpath("report").read_text()


def test_a_name_with_a_line_break_stays_in_its_remark(capsys, tmp_path):
    imported = import_text(
        capsys, tmp_path, "Procfile\nthreads = 9", "web: gunicorn shop.wsgi\n", "--kind", "procfile"
    )
    assert imported.text.startswith("# Made by `penstock import '")
    assert "\nthreads" not in imported.text
