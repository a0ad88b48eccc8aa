import json

import pytest
from imports import SAMPLES, import_text, run_import, significant_lines

from penstock.cli import main

INI = "[uwsgi]\nmodule = shop.wsgi\nprocesses = 3\nenv = A=1\nenv = B=2\n"
YAML = "uwsgi:\n  module: shop.wsgi\n  processes: 3  # each with one thread\n  env: A=1\n  env: 'B=2'\n"
JSON = '{"uwsgi": {"module": "shop.wsgi", "processes": 3, "env": ["A=1", "B=2"]}}'
XML = "<uwsgi><module>shop.wsgi</module><processes>3</processes><env>A=1</env><env>B=2</env></uwsgi>"


@pytest.mark.parametrize(("name", "text"), [("u.ini", INI), ("u.yaml", YAML), ("u.json", JSON), ("u.xml", XML)])
def test_the_four_formats_say_the_same(capsys, tmp_path, name, text):
    config = import_text(capsys, tmp_path, name, text).config()
    assert (config.app, config.workers, config.environment) == ("shop.wsgi", 3, {"A": "1", "B": "2"})


def test_a_site_as_it_has_run_for_years_is_carried_over(capsys, tmp_path):
    imported = run_import(capsys, tmp_path, SAMPLES / "uwsgi-shop.ini")
    config = imported.config()
    assert (config.app, config.chdir, config.workers, config.timeout) == (
        "shop.wsgi:application",
        "/srv/shop",
        "2..8",
        60,
    )
    assert config.bind == ["127.0.0.1:8081", "127.0.0.1:8082"]
    assert config.static == {"/static/": "/srv/shop/var/static", "/media/": "/srv/shop/var/media"}
    assert (config.user, config.max_memory) == ("www-data", 250 * 1024**2)
    assert imported.verdicts["harakirl = 20"] == "unknown"
    assert "did you mean 'harakiri'?" in imported.notes["harakirl = 20"]
    assert imported.verdicts["py-autoreload = 1"] == "not needed any more"
    assert "not-for-the-report" not in str(imported.report["directives"])


def test_every_line_is_in_the_report(capsys, tmp_path):
    sample = SAMPLES / "uwsgi-shop.ini"
    lines = {line for _, line in run_import(capsys, tmp_path, sample).lines}
    text = sample.read_text().splitlines()
    assert {number for number in significant_lines(sample, ";#") if not text[number - 1].startswith("[")} == lines


def test_a_condition_on_a_variable_holds_when_it_is_given(capsys, tmp_path):
    text = "[uwsgi]\nif-env = PORT\nhttp-socket = :%(_)\nendif =\nif-not-env = PORT\nhttp-socket = :1\nendif =\n"
    assert import_text(capsys, tmp_path, "u.ini", text, "--environment", "PORT=8001").config().bind == ["0.0.0.0:8001"]
    (tmp_path / "penstock.toml").unlink()
    assert import_text(capsys, tmp_path, "u.ini", text).config().bind == ["0.0.0.0:1"]


def test_magic_variables_and_includes_are_filled_in(capsys, tmp_path):
    (tmp_path / "common.ini").write_text("[logs]\nlogto = %d/%(name).log\n")
    text = "[uwsgi]\nname = %n\nhttp-socket = 127.0.0.1:8000\npidfile = %d%n.pid\nini = common.ini:logs\n"
    config = import_text(capsys, tmp_path, "shop.ini", text).config()
    assert (config.pid_file, config.error_log) == (f"{tmp_path}/shop.pid", f"{tmp_path}/shop.log")


def test_several_files_become_several_sites(capsys, tmp_path):
    for name in ("shop.example", "blog.example"):
        (tmp_path / f"{name}.ini").write_text(f"[uwsgi]\nmodule = {name[:4]}.wsgi\nuid = {name[:4]}\n")
    imported = run_import(capsys, tmp_path, tmp_path / "shop.example.ini", tmp_path / "blog.example.ini")
    assert '[sites.shop-example]\nhosts = ["shop.example"]\napp = "shop.wsgi"' in imported.text
    assert '[sites.blog-example]\nhosts = ["blog.example"]\napp = "blog.wsgi"' in imported.text


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("u.ini", "[uwsgi\n", "u.ini:1:6"),
        ("u.ini", "module = x\n", "u.ini:1:1"),
        ("u.ini", "[other]\n", "u.ini:1:1: there is no section [uwsgi]"),
        ("u.ini", "[uwsgi]\nfor = 1 2\nfor = 3\n", "u.ini:3:1: for within for"),
        ("u.ini", "[uwsgi]\nif-env = A\n", "u.ini:2:1: if-env has no end"),
        ("u.ini", "[uwsgi]\nendif =\n", "u.ini:2:1"),
        ("u.ini", "[uwsgi]\nini = u.ini\n", "include each other without end"),
        ("u.yaml", "uwsgi:\n  module: x\n  nonsense\n", "u.yaml:3:3"),
        ("u.json", '{"uwsgi": {"module" "x"}}', "u.json:1:21"),
        ("u.xml", "<uwsgi>\n<module>x</modul></uwsgi>", "u.xml:2:"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_column(capsys, tmp_path, name, text, place):
    path = tmp_path / name
    path.write_text(text)
    assert main(["import", "--kind=uwsgi", str(path), "--output", str(tmp_path / "penstock.toml")]) == 2
    assert place in capsys.readouterr().err


def test_a_route_that_keeps_somebody_out_is_not_opened_without_a_word(capsys, tmp_path):
    source = tmp_path / "u.ini"
    source.write_text("[uwsgi]\nmodule = shop.wsgi\nroute = ^/inside basicauth:Inside,ann:secret\n")
    assert main(["import", str(source), "--output", str(tmp_path / "penstock.toml")]) == 1
    assert capsys.readouterr().out.startswith("guarded before and open now (1)\n")
    assert not (tmp_path / "penstock.toml").exists()


def test_a_strict_file_is_told_that_uwsgi_refuses_its_slip_too(capsys, tmp_path):
    imported = import_text(capsys, tmp_path, "u.json", json.dumps({"uwsgi": {"strict": True, "procesess": 3}}))
    assert "uWSGI refuses it, too" in imported.notes['"procesess": 3']


def test_files_of_the_same_name_stay_sites_of_their_own(capsys, tmp_path):
    paths = []
    for name in ("blog", "shop"):
        tmp_path.joinpath(name).mkdir()
        tmp_path.joinpath(name, "uwsgi.ini").write_text(f"[uwsgi]\nmodule = {name}.wsgi\n")
        paths.append(str(tmp_path / name / "uwsgi.ini"))
    assert main(["import", *paths, "--output", str(tmp_path / "penstock.toml")]) == 0
    text = tmp_path.joinpath("penstock.toml").read_text()
    assert "[sites.uwsgi]\n" in text and "[sites.shop-uwsgi]\n" in text
    assert 'app = "blog.wsgi"' in text and 'app = "shop.wsgi"' in text
