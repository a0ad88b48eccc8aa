"""Django projects, found and refused by real processes: the project is the smallest that has a manage.py."""

import re

import pytest
from running_penstock import OWN_CODE, servers_in
from shop_project import MANAGE, SETTINGS, WSGI, write_shop


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The directory of a project `shop` without a wsgi.py."""
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    write_shop(tmp_path)
    return tmp_path


@pytest.fixture
def start(project):
    """Starts a server in the project."""
    with servers_in(project) as begin:
        yield lambda *arguments: begin("--bind", "127.0.0.1:0", "--workers", "1", *arguments)


def test_a_project_without_wsgi_application_is_served_by_djangos_own(start):
    server = start().find_port()
    assert server.get() == "hello"
    assert "application  django.core.wsgi:get_wsgi_application()  no WSGI_APPLICATION in shop.settings" in server.log
    assert "manage.py" in next(line for line in server.written if "settings  " in line)


def test_a_project_with_wsgi_application_is_served_by_that(start, project):
    project.joinpath("shop/wsgi.py").write_text(WSGI)
    project.joinpath("shop/settings.py").write_text(SETTINGS + 'WSGI_APPLICATION = "shop.wsgi.application"\n')
    server = start().find_port()
    assert server.get() == "hello"
    assert "shop.wsgi:application" in server.log


def test_the_same_wsgi_py_is_served_when_it_is_named(start, project):
    project.joinpath("shop/wsgi.py").write_text(WSGI)
    assert start("shop.wsgi").find_port().get() == "hello"


def test_an_env_file_reaches_the_settings_and_a_named_one_wins(start, project):
    project.joinpath(".env").write_text("GREETING=from the file\n")
    project.joinpath(".env.live").write_text("GREETING=live\n")
    assert start().find_port().get() == "from the file"
    assert start("--env", "live").find_port().get() == "live"


def test_the_files_that_collectstatic_gathered_are_served(start, project):
    project.joinpath("shop/settings.py").write_text(SETTINGS + 'STATIC_ROOT = BASE_DIR / "static"\n')
    project.joinpath("static").mkdir()
    project.joinpath("static/style.css").write_text("body {}")
    server = start().find_port()
    assert server.get("/static/style.css") == "body {}"


def test_a_missing_static_root_is_a_warning_with_the_fix(start, project):
    project.joinpath("shop/settings.py").write_text(SETTINGS + 'STATIC_ROOT = BASE_DIR / "static"\n')
    server = start()
    server.wait_for("STATIC_ROOT .*static does not exist.*: run `python manage.py collectstatic`")


@pytest.mark.parametrize(
    "case",
    [
        (
            ["--settings", "shop.setings"],
            "shop/__init__.py",
            "",
            "error: there is no settings module 'shop.setings' (chosen by --settings)\n\n"
            "hint: did you mean 'shop.settings'?\n",
        ),
        (
            [],
            "shop/settings.py",
            "from django.core.exceptions import ImproperlyConfigured as No\nraise No('set DATABASE_URL')\n",
            "error: Django cannot start with the settings shop.settings: set DATABASE_URL\n",
        ),
        (
            [],
            "shop/settings.py",
            SETTINGS + 'WSGI_APPLICATION = "shop.wsgy.application"\n',
            "error: there is no module 'shop.wsgy'",
        ),
        (
            [],
            "shop/settings.py",
            SETTINGS + 'INSTALLED_APPS = ["surely_missing"]\n',
            "error: Django cannot start with the settings shop.settings: ModuleNotFoundError: No module",
        ),
        (
            [],
            "shop/urls.py",
            "from shop import views\n",
            "error: the URLconf shop.urls cannot be imported: ImportError: cannot import name 'views'",
        ),
    ],
    ids=["no settings module", "improperly configured", "no WSGI_APPLICATION", "no such app", "broken URLconf"],
)
def test_a_project_that_cannot_start_ends_with_a_clear_error(start, project, case):
    arguments, file, text, error = case
    project.joinpath(file).write_text(text)
    server = start(*arguments)
    assert server.wait_for_end() == 1
    assert server.log.startswith(error)
    assert "Traceback" not in server.log
    assert OWN_CODE not in server.log


COMMAND = """\
from django.conf import settings
from django.core.management.base import BaseCommand

class Command(BaseCommand):
    def handle(self, **options):
        print(settings.SETTINGS_MODULE, settings.GREETING)
"""


def test_management_commands_beside_the_web_have_the_settings_and_variables_of_the_site(start, project):
    for name in ("", "management/", "management/commands/"):
        project.joinpath(f"shop/{name}").mkdir(exist_ok=True)
        project.joinpath(f"shop/{name}__init__.py").touch()
    project.joinpath("shop/management/commands/greet.py").write_text(COMMAND)
    project.joinpath("manage.py").write_text(MANAGE + "import sys\nexecute_from_command_line(sys.argv)\n")
    project.joinpath("shop/live.py").write_text(SETTINGS + 'INSTALLED_APPS = ["shop"]\n')
    project.joinpath(".env").write_text("GREETING=from the file\n")
    server = start(
        "--settings=shop.live",
        "--release=python manage.py greet",
        "--processes=greeter=python manage.py greet",
        "--schedule=* * * * * *=python manage.py greet",
    )
    for name in ("release", "greeter", "greet"):
        server.wait_for(f"{name}: shop.live from the file$")


def test_the_log_has_one_time_zone_whatever_the_settings_say(start, project, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    project.joinpath("shop/settings.py").write_text(SETTINGS + 'TIME_ZONE = "America/New_York"\n')
    fails = "def application(environ, start_response):\n    raise LookupError('in a worker')\n"
    project.joinpath("shop/wsgi.py").write_text(WSGI + fails)
    server = start("shop.wsgi").find_port()
    server.get()
    server.wait_for("the application failed")
    server.wait_for("LookupError: in a worker")
    assert set(re.findall(r"^\d{4}-\d\d-\d\d \S+ (\S+) ", server.log, re.MULTILINE)) == {"+0900"}
