"""What `penstock startproject` makes, used as its README says, and what it refuses."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from running_site import SCRIPTS, manage, serve

from penstock.cli import main

PRODUCTION = {"DJANGO_ENV": "production", "SECRET_KEY": "a-key-of-production-" * 3}
LAYOUTS = {"split": [], "single": ["--single-settings"]}


def penstock(directory, *words):
    return subprocess.run(
        [SCRIPTS / "penstock", *words], cwd=directory, capture_output=True, text=True, timeout=60, check=False
    )


def files_in(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def run(project, *arguments, **environment):
    """Runs manage.py and returns what it did."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=project,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module", params=LAYOUTS)
def project(request, tmp_path_factory) -> Path:
    """A new project, in either layout, with its database."""
    place = tmp_path_factory.mktemp(request.param)
    made = penstock(place, "startproject", "mysite", *LAYOUTS[request.param])
    assert (made.returncode, made.stderr) == (0, "")
    manage(place / "mysite", "migrate", "--verbosity", "0")
    return place / "mysite"


def test_its_own_tests_pass(project):
    tested = run(project, "test")
    assert tested.returncode == 0, tested.stderr
    assert re.search(r"Ran [1-9]\d* tests?", tested.stderr)


def test_no_migration_is_missing(project):
    assert run(project, "makemigrations", "--check").returncode == 0


def test_production_has_nothing_to_warn_of(project):
    checked = run(project, "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert (checked.returncode, checked.stdout) == (0, "System check identified no issues (0 silenced).\n"), checked
    assert checked.stderr == ""


@pytest.mark.parametrize("command", ["check", "migrate"])
def test_production_refuses_the_development_key_and_names_the_variable(project, command):
    refused = run(project, command, DJANGO_ENV="production")
    assert refused.returncode != 0
    assert "the variable SECRET_KEY is the development key" in refused.stderr


@pytest.mark.parametrize("environment", ["development", "production"])
def test_without_any_key_nothing_starts_and_the_variable_is_named(project, environment):
    kept = project.joinpath(".env").rename(project / "kept")
    try:
        refused = run(project, "check", DJANGO_ENV=environment)
    finally:
        kept.rename(project / ".env")
    assert refused.returncode != 0
    assert "the variable SECRET_KEY is not set" in refused.stderr


def test_an_environment_that_does_not_exist_is_refused(project):
    refused = run(project, "check", DJANGO_ENV="prodution", SECRET_KEY=PRODUCTION["SECRET_KEY"])
    assert refused.returncode != 0
    assert "prodution" in refused.stderr


def test_the_environment_may_be_chosen_in_the_env_file(project):
    file = project / ".env"
    before = file.read_text()
    file.write_text("DJANGO_ENV=production\nSECRET_KEY={SECRET_KEY}\n".format(**PRODUCTION))
    try:
        settings = run(project, "diffsettings")
        wsgi = subprocess.run(
            [sys.executable, "-c", "import mysite.wsgi; from django.conf import settings; print(settings.DEBUG)"],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    finally:
        file.write_text(before)
    assert "DEBUG = False" in settings.stdout or "DEBUG" not in settings.stdout
    assert wsgi.stdout == "False\n"


def test_penstock_refuses_to_serve_production_without_its_key(project):
    refused = subprocess.run(
        [SCRIPTS / "penstock", "serve", "--bind", "127.0.0.1:0"],
        cwd=project,
        env=os.environ | {"DJANGO_ENV": "production"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert "the variable SECRET_KEY is the development key" in refused.stderr


def test_penstock_serves_its_page_its_style_and_the_admin_in_development(project):
    with serve(project) as site:
        page = site.get("/")
        assert "It works" in page.text
        style = re.search(r'href="(/static/[^"]+\.css)"', page.text)[1]
        assert site.get(style).headers["Content-Type"].startswith("text/css")
        assert "Log in" in site.get("/admin/").text
        assert site.get("/healthz").status_code == 200


def test_penstock_serves_hashed_names_in_production(project):
    environment = PRODUCTION | {"USE_HTTPS": "0"}
    manage(project, "collectstatic", "--no-input", "--verbosity", "0", **environment)
    with serve(project, **environment) as site:
        style = re.search(r'href="(/static/site\.[0-9a-f]{12}\.css)"', site.get("/").text)[1]
        assert "immutable" in site.get(style).headers["Cache-Control"]
        missing = site.get("/no-such-page")
        assert missing.status_code == 404
        assert "This page is not here" in missing.text


def test_production_sends_everybody_to_https(project):
    manage(project, "collectstatic", "--no-input", "--verbosity", "0", **PRODUCTION)
    with serve(project, **PRODUCTION) as site:
        redirect = site.get("/", allow_redirects=False)
        assert (redirect.status_code, redirect.headers["Location"]) == (
            301,
            site.address.replace("http:", "https:") + "/",
        )
        secure = site.get("/", headers={"X-Forwarded-Proto": "https"})
        assert "It works" in secure.text
        assert secure.headers["Strict-Transport-Security"].startswith("max-age=3600")


def test_nothing_of_penstock_is_imported_in_it(project):
    for source in project.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            match node:
                case ast.Import(names=names):
                    assert not any(name.name.startswith("penstock") for name in names), source
                case ast.ImportFrom(module=str(module)):
                    assert not module.startswith("penstock"), source


def test_the_development_key_is_kept_from_git_and_from_others(project):
    assert "django-insecure-" in project.joinpath(".env").read_text()
    assert project.joinpath(".env").stat().st_mode & 0o077 == 0
    assert ".env" in project.joinpath(".gitignore").read_text().split()
    text = [path for path in project.rglob("*") if path.suffix in (".md", ".toml", ".txt", ".example")]
    assert [path for path in text if "django-insecure-" in path.read_text()] == []


def test_both_layouts_come_to_the_same_settings_in_production(tmp_path):
    read = (
        "import mysite.wsgi; from django.conf import settings; "
        "names = {name for name in dir(settings) if name.isupper()} - {'SETTINGS_MODULE'}; "
        "print({name: getattr(settings, name) for name in sorted(names)})"
    )
    seen = []
    for name, words in LAYOUTS.items():
        assert penstock(tmp_path, "startproject", "mysite", name, *words).returncode == 0
        shown = subprocess.run(
            [sys.executable, "-c", read],
            cwd=tmp_path / name,
            env=os.environ | PRODUCTION,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        seen.append(shown.stdout.replace(str(tmp_path / name), "."))
    assert seen[0] == seen[1]


def test_each_project_has_a_key_of_its_own(tmp_path):
    for name in ("one", "two"):
        penstock(tmp_path, "startproject", name)
    assert tmp_path.joinpath("one/.env").read_text() != tmp_path.joinpath("two/.env").read_text()


def test_it_says_what_to_type_next(tmp_path):
    made = penstock(tmp_path, "startproject", "mysite")
    assert "  cd mysite\n  python manage.py migrate\n  penstock serve --reload" in made.stdout


def test_a_directory_that_is_there_takes_a_project_beside_its_files(tmp_path):
    tmp_path.joinpath("LICENSE").write_text("mine")
    made = penstock(tmp_path, "startproject", "mysite", ".")
    assert made.returncode == 0
    assert "cd " not in made.stdout
    assert tmp_path.joinpath("LICENSE").read_text() == "mine"
    assert run(tmp_path, "check").returncode == 0


def test_a_directory_that_is_not_there_is_made(tmp_path):
    assert penstock(tmp_path, "startproject", "mysite", "sites/first").returncode == 0
    assert tmp_path.joinpath("sites/first/mysite/wsgi.py").is_file()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my-site", "hint: did you mean 'my_site'?"),
        ("1site", "cannot be the name of a Python package"),
        ("class", "cannot be the name of a Python package"),
        ("../site", "hint: did you mean 'site'?"),
        ("django", "conflicts with the name of an existing Python module"),
        ("json", "conflicts with the name of an existing Python module"),
        ("static", "is the name of something else in the project"),
        ("manage", "is the name of something else in the project"),
        ("", "cannot be the name of a Python package"),
    ],
)
def test_a_bad_name_is_refused(tmp_path, monkeypatch, capsys, name, message):
    monkeypatch.chdir(tmp_path)
    assert main(["startproject", name]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["manage.py", "mysite/models.py", "templates/home.html", ".env"])
def test_nothing_is_written_where_a_file_would_be_written_over(tmp_path, there):
    path = tmp_path / "work" / there
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    refused = penstock(tmp_path, "startproject", "mysite", "work")
    assert refused.returncode == 2
    assert there.split("/models")[0] in refused.stderr
    assert files_in(tmp_path) == {f"work/{there}": b"mine"}


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_a_directory_of_its_name_is_left_alone(tmp_path, make):
    make(tmp_path / "mysite")
    refused = penstock(tmp_path, "startproject", "mysite")
    assert refused.returncode == 2
    assert "is there already" in refused.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["mysite"]


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    tmp_path.joinpath("file").touch()
    refused = penstock(tmp_path, "startproject", "mysite", "file/below")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "cannot be made: Not a directory" in refused.stderr


def test_where_no_file_finds_room_nothing_is_left(tmp_path):
    # A limit for the size of files stands for a full disk.
    refused = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$0" startproject mysite', SCRIPTS / "penstock"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: no temporary file can be written: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("django", "message"),
    [
        ("raise ImportError('none here')", "a Django project needs Django, which this Python does not have"),
        ("VERSION, __version__ = (4, 2, 9), '4.2.9'", "a new project needs Django 5.2, and this Python has 4.2.9"),
    ],
)
def test_without_a_django_that_will_do_it_says_how_to_install_one(tmp_path, django, message):
    tmp_path.joinpath("django.py").write_text(django)
    refused = subprocess.run(
        [sys.executable, "-m", "penstock", "startproject", "mysite"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert message in refused.stderr
    assert "-m pip install --upgrade Django" in refused.stderr
    assert not tmp_path.joinpath("mysite").exists()
