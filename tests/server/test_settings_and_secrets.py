"""The settings module, variables and secrets of a site, as real processes have them."""

import json

import pytest
from shop_project import SETTINGS, WSGI, write_shop

TELLER = """
import os

def application(environ, start_response):
    if environ["PATH_INFO"] == "/broken":
        raise ValueError("cannot use " + os.environ["SIGNING_KEY"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ.get(environ["PATH_INFO"][1:], "").encode()]
"""
DJANGO_TELLER = """
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: HttpResponse(f"{settings.SETTINGS_MODULE} in {settings.STAGE}"))]
"""
STAGED = SETTINGS + 'STAGE = os.environ.get("DJANGO_ENV", "nothing")\n'
CHOOSING = """
import os
from django.core.management import execute_from_command_line

stage = os.environ.get("DJANGO_ENV", "development")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"shop.{stage}")
"""


@pytest.fixture
def start(launch):
    return lambda *arguments: launch(*arguments, "--bind", "127.0.0.1:0", "--workers", "1")


@pytest.fixture
def teller(tmp_path):
    """A site that tells its variables, and wants one secret."""
    tmp_path.joinpath("teller.py").write_text(TELLER)
    tmp_path.joinpath("penstock.toml").write_text("""
[site]
app = "teller"
secrets = ["SIGNING_KEY"]
environment = { GREETING = "hello", MAIL_URL = "smtp://me:battery-staple@mail" }

[env.live.site]
environment = { GREETING = "good day" }
""")
    return tmp_path


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A Django project that tells its settings module and its environment."""
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    write_shop(tmp_path)
    tmp_path.joinpath("shop/urls.py").write_text(DJANGO_TELLER)
    tmp_path.joinpath("shop/settings.py").write_text(STAGED)
    return tmp_path


@pytest.fixture
def blog(shop, tmp_path_factory, monkeypatch):
    """Another project, elsewhere, that Python finds too."""
    directory = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("PYTHONPATH", str(directory))
    directory.joinpath("blog").mkdir()
    directory.joinpath("blog/settings.py").write_text(STAGED)
    directory.joinpath("blog/wsgi.py").write_text(WSGI.replace("shop", "blog"))
    return directory


def test_a_secret_of_a_file_reaches_the_site_and_a_reload_takes_a_new_one(start, teller, monkeypatch):
    teller.joinpath("key").write_text("correct-horse\n")
    monkeypatch.setenv("SIGNING_KEY_FILE", "key")
    server = start().find_port()
    assert server.get("/SIGNING_KEY") == "correct-horse"
    teller.joinpath("key").write_text("new-horse\n")
    assert server.command("reload")[2] == 0
    assert server.get("/SIGNING_KEY") == "new-horse"


def test_a_systemd_credential_reaches_the_site(start, teller, monkeypatch):
    teller.joinpath("SIGNING_KEY").write_text("correct-horse\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(teller))
    assert start().find_port().get("/SIGNING_KEY") == "correct-horse"


def test_secrets_are_shown_nowhere(start, teller, monkeypatch):
    monkeypatch.setenv("SIGNING_KEY", "correct-horse")
    server = start().find_port()
    server.get("/broken")
    server.wait_for("ValueError: cannot use ••••")
    shown = [server.command(*words)[0] for words in (["status"], ["stacks"], ["explain"], ["explain", "--json"])]
    assert all(shown)
    assert "smtp://me:••••@mail" in shown[2]
    assert any(
        row == {"name": "SIGNING_KEY", "shown": "••••", "origin": "the variable SIGNING_KEY"}
        for row in json.loads(shown[3])["application"]["variables"]
    )
    server.send("TERM")
    assert server.wait_for_end() == 0
    for text in (*shown, server.log):
        assert "correct-horse" not in text
        assert "battery-staple" not in text


def test_without_its_secret_a_site_does_not_start(start, teller):
    server = start()
    assert server.wait_for_end() == 2
    assert server.log.startswith("error: the secret SIGNING_KEY (penstock.toml:4) is missing\n")
    assert "hint: set SIGNING_KEY, or SIGNING_KEY_FILE" in server.log


def test_a_reload_without_a_secret_fails_and_the_old_code_serves_on(start, teller, monkeypatch):
    teller.joinpath("key").write_text("correct-horse\n")
    monkeypatch.setenv("SIGNING_KEY_FILE", "key")
    server = start().find_port()
    teller.joinpath("key").unlink()
    _, errors, status = server.command("reload")
    assert status == 2
    assert f"the secret SIGNING_KEY cannot be read from {teller}/key (SIGNING_KEY_FILE): No such file" in errors
    assert server.get("/SIGNING_KEY") == "correct-horse"


def test_the_environment_chooses_a_part_of_the_file(start, teller, monkeypatch):
    monkeypatch.setenv("SIGNING_KEY", "correct-horse")
    server = start("--env", "live").find_port()
    assert [server.get(path) for path in ("/GREETING", "/DJANGO_ENV")] == ["good day", "live"]
    assert server.get("/MAIL_URL") == "smtp://me:battery-staple@mail"


def test_each_worker_that_loads_for_itself_has_the_variables(start, teller, monkeypatch):
    monkeypatch.setenv("SIGNING_KEY", "correct-horse")
    assert start("--preload", "never").find_port().get("/GREETING") == "hello"


def test_manage_py_chooses_the_settings_by_the_environment(start, shop):
    shop.joinpath("manage.py").write_text(CHOOSING)
    for stage in ("development", "live"):
        shop.joinpath(f"shop/{stage}.py").write_text(STAGED)
    server = start("--env", "live").find_port()
    assert server.get() == "shop.live in live"
    assert "shop.live" in server.log
    assert "manage.py, by --env" in server.log
    assert start().find_port().get() == "shop.development in nothing"


def test_an_inherited_variable_of_another_project_is_warned_of(start, blog, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "blog.settings")
    server = start().find_port()
    server.wait_for(
        r"DJANGO_SETTINGS_MODULE in the environment names blog\.settings, which does not belong to this project "
        r"\(manage\.py names shop\.settings\): unset DJANGO_SETTINGS_MODULE, or choose with --settings"
    )
    assert server.get() == "blog.settings in nothing"


def test_an_inherited_variable_of_a_project_that_is_not_here_is_an_error(start, shop, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "blog.settings")
    server = start()
    assert server.wait_for_end() == 1
    assert server.log.startswith("error: there is no settings module 'blog.settings' (chosen by")
    assert "manage.py names shop.settings" in server.log
    stdout, _, status = start("--settings", "shop.settings").find_port().command("explain")
    assert (status, "which does not belong to this project" in stdout) == (0, True)


def test_a_second_project_in_one_process_is_refused(start, blog, shop):
    shop.joinpath("shop/wsgi.py").write_text(WSGI)
    shop.joinpath("both.py").write_text(
        "from shop.wsgi import application\nfrom blog.wsgi import application as blog\n"
    )
    server = start("both")
    assert server.wait_for_end() == 2
    assert server.log.startswith(
        "error: both:application brings a second Django project: this process already runs with shop.settings, "
        "and blog.wsgi wants blog.settings\n\nhint: Django has one settings module in a process"
    )


def test_settings_that_wsgi_py_sets_itself_are_told(start, shop):
    shop.joinpath("shop/live.py").write_text(STAGED)
    shop.joinpath("shop/wsgi.py").write_text(
        """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.live"
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""
    )
    server = start("shop.wsgi", "--settings", "shop.settings").find_port()
    server.wait_for(r"shop\.settings \(--settings\) has no effect, because shop\.wsgi sets DJANGO_SETTINGS_MODULE")
    assert server.get() == "shop.live in nothing"
    assert "shop.live" in next(line for line in server.written if line.lstrip().startswith("settings"))
