"""`penstock init` in projects of others: what it adds, what it asks for, and that it loses nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from running_site import SCRIPTS


def penstock(directory, *words):
    return subprocess.run(
        [SCRIPTS / "penstock", *words], cwd=directory, capture_output=True, text=True, timeout=60, check=False
    )


def files_in(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def shop(tmp_path) -> Path:
    """What `django-admin startproject` makes."""
    subprocess.run([SCRIPTS / "django-admin", "startproject", "shop", tmp_path], check=True, timeout=60)
    return tmp_path


def test_only_files_that_were_not_there_are_added(shop):
    before = files_in(shop)
    done = penstock(shop, "init")
    assert (done.returncode, done.stderr) == (0, "")
    after = files_in(shop)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"penstock.toml", ".env.example", ".gitignore"}
    assert "shop/settings.py: values that differ on a live site  (only with --yes)" in done.stdout
    assert "3 files were written." in done.stdout


def test_doing_it_twice_changes_nothing(shop):
    for words in ([], ["--yes"]):
        penstock(shop, "init", *words)
        once = files_in(shop)
        again = penstock(shop, "init", *words)
        assert files_in(shop) == once
        assert "written" not in again.stdout
    assert "There is nothing to add." in again.stdout


def test_a_rehearsal_writes_nothing_and_shows_the_same(shop):
    before = files_in(shop)
    shown = penstock(shop, "init", "--yes", "--dry-run").stdout
    assert files_in(shop) == before
    assert shown.endswith("Nothing was written.\n")
    done = penstock(shop, "init", "--yes").stdout
    assert shown.splitlines()[:-1] == done.splitlines()[:-1]


def test_with_consent_the_settings_read_variables_and_work_as_before(shop):
    key = next(line for line in shop.joinpath("shop/settings.py").read_text().splitlines() if "SECRET_KEY" in line)
    done = penstock(shop, "init", "--yes")
    assert done.returncode == 0
    assert key.partition("'")[2].rstrip("'") not in done.stdout
    read = "from django.conf import settings as s; print(s.DEBUG, s.ALLOWED_HOSTS, s.SECRET_KEY, s.STATIC_ROOT)"

    def settings(**variables):
        return subprocess.run(
            [sys.executable, "-c", read],
            cwd=shop,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "shop.settings"} | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()

    assert settings() == f"True [] {key.partition(chr(39))[2].rstrip(chr(39))} {shop}/var/static"
    live = settings(DJANGO_ENV="production", ALLOWED_HOSTS="a.example, b.example", SECRET_KEY="hidden")
    assert live == f"False ['a.example', 'b.example'] hidden {shop}/var/static"
    example = shop.joinpath(".env.example").read_text()
    assert "# SECRET_KEY=\n" in example
    assert "# DJANGO_ENV=development\n" in example
    assert shop.joinpath(".gitignore").read_text().split() == [".env", "__pycache__/", "/var/"]


def test_what_somebody_has_written_is_kept(shop):
    mine = {
        ".gitignore": b"*.log\r\n.env*\r\n*.pyc",
        ".env.example": b"SMTP_HOST=",
        "penstock.toml": b"[site]\nworkers = 3\n",
        ".env": b"SECRET_KEY=mine\n",
    }
    for name, content in mine.items():
        shop.joinpath(name).write_bytes(content)
    settings = shop / "shop/settings.py"
    settings.write_text(settings.read_text() + '\nEMAIL_HOST = env("SMTP_HOST")\nTOKEN = os.environ["API_TOKEN"]\n')
    assert penstock(shop, "init").returncode == 0
    after = files_in(shop)
    assert after[".gitignore"] == mine[".gitignore"] + b"\r\n__pycache__/\r\n"
    assert after[".env.example"] == b"SMTP_HOST=\nAPI_TOKEN=\n"
    assert (after["penstock.toml"], after[".env"]) == (mine["penstock.toml"], mine[".env"])


def test_what_the_repository_above_ignores_need_not_be_said_again(shop, tmp_path):
    tmp_path.joinpath(".git").mkdir()
    tmp_path.joinpath(".gitignore").write_text(".env\n__pycache__\n")
    inner = tmp_path / "site"
    inner.mkdir()
    subprocess.run([SCRIPTS / "django-admin", "startproject", "inner", inner], check=True, timeout=60)
    assert penstock(inner, "init").returncode == 0
    assert not inner.joinpath(".gitignore").exists()


def test_settings_in_several_modules_are_read_and_left_alone(shop):
    package = shop / "shop/settings"
    text = shop.joinpath("shop/settings.py").read_text()
    shop.joinpath("shop/settings.py").unlink()
    package.mkdir()
    package.joinpath("__init__.py").write_text("from .base import *\n")
    package.joinpath("base.py").write_text(text + '\nimport os\nTOKEN = os.environ["API_TOKEN"]\n')
    before = files_in(package)
    done = penstock(shop, "init", "--yes")
    assert done.returncode == 0
    assert files_in(package) == before
    assert "API_TOKEN=\n" in shop.joinpath(".env.example").read_text()


@pytest.mark.parametrize("options", [[], ["--single-settings"]])
def test_a_project_of_ours_lacks_nothing(tmp_path, options):
    penstock(tmp_path, "startproject", "mysite", ".", *options)
    assert "There is nothing to add." in penstock(tmp_path, "init", "--yes").stdout


def test_it_is_found_from_below_and_penstock_reads_what_was_added(shop):
    assert penstock(shop / "shop", "init").returncode == 0
    explained = penstock(shop, "explain")
    assert explained.returncode == 0, explained.stderr


def test_without_a_project_it_says_how_to_make_one(tmp_path):
    refused = penstock(tmp_path, "init")
    assert refused.returncode == 1
    assert "there is no Django project in" in refused.stderr
    assert "hint: `penstock startproject NAME` makes a new one" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_settings_that_are_no_python_stop_it_before_anything_is_written(shop):
    shop.joinpath("shop/settings.py").write_text("DEBUG = (\n")
    before = files_in(shop)
    refused = penstock(shop, "init")
    assert refused.returncode == 1
    assert "shop/settings.py is not valid Python" in refused.stderr
    assert files_in(shop) == before
