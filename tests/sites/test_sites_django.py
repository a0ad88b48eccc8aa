"""Two real Django projects with settings, databases and variables of their own behind one address."""

import os
import sqlite3
import subprocess
import sys

import pytest
from asked_sites import Visitor, ask, site_of, wait_until_up

MANAGE = """
import os, sys
if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{name}.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""
SETTINGS = """
import os
SECRET_KEY = "only for a test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "{name}.urls"
WSGI_APPLICATION = "{name}.wsgi.application"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": r"{directory}/{name}.sqlite3"}}}}
GREETING = os.environ["GREETING"]
"""
WSGI = """
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{name}.settings")
application = get_wsgi_application()
"""
URLS = """
import os
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.urls import path

def page(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT owner FROM facts")
        (owner,) = cursor.fetchone()
    module = os.environ["DJANGO_SETTINGS_MODULE"]
    return HttpResponse(f"{settings.ROOT_URLCONF} {module} {settings.GREETING} {owner} {os.getpid()}")

urlpatterns = [path("", page)]
"""
SITES = """
[sites.shop]
chdir = "shop_project"
hosts = ["shop.example"]
workers = 1
environment = { GREETING = "buy" }
[sites.blog]
chdir = "blog_project"
hosts = ["blog.example"]
workers = 1
environment = { GREETING = "read" }
"""


@pytest.fixture
def projects(tmp_path):
    for name in ("shop", "blog"):
        project = tmp_path / f"{name}_project"
        package = project / name
        package.mkdir(parents=True)
        package.joinpath("__init__.py").touch()
        for file, text in ((project / "manage.py", MANAGE), (package / "settings.py", SETTINGS)):
            file.write_text(text.format(name=name, directory=project))
        package.joinpath("wsgi.py").write_text(WSGI.format(name=name))
        package.joinpath("urls.py").write_text(URLS)
        with sqlite3.connect(project / f"{name}.sqlite3") as database:
            database.execute("CREATE TABLE facts (owner TEXT)")
            database.execute("INSERT INTO facts VALUES (?)", (f"{name}'s",))
        database.close()


@pytest.fixture
def server(serve_sites, projects):
    return serve_sites(SITES, up=("shop", "blog"))


def page_of(server, name):
    status, text = ask(server.port, f"{name}.example")
    assert status == 200, text
    *words, pid = text.split()
    return words, int(pid)


def test_each_project_has_its_own_settings_variables_and_database(server):
    for _ in range(3):
        assert page_of(server, "shop")[0] == ["shop.urls", "shop.settings", "buy", "shop's"]
        assert page_of(server, "blog")[0] == ["blog.urls", "blog.settings", "read", "blog's"]


def test_in_one_process_the_second_project_would_run_with_the_settings_of_the_first(projects, tmp_path):
    """The leak that the processes apart from each other are for."""
    code = (
        "import sys, os; sys.path[:0] = ['shop_project', 'blog_project']; os.environ['GREETING'] = 'buy';"
        "import shop.wsgi, blog.wsgi; from django.conf import settings; print(settings.ROOT_URLCONF)"
    )
    variables = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout == "shop.urls\n"  # and blog.wsgi:application serves the shop


def test_variables_of_the_parent_do_not_reach_the_sites(projects, tmp_path, launch):
    tmp_path.joinpath("penstock.toml").write_text(f'[server]\nbind = ["127.0.0.1:0"]\n{SITES}')
    server = launch(variables={"DJANGO_SETTINGS_MODULE": "shop.settings", "GREETING": "leaked"})
    server.find_port()
    wait_until_up(server, "shop", "blog")
    assert page_of(server, "blog")[0] == ["blog.urls", "blog.settings", "read", "blog's"]


def test_crashes_and_reloads_of_one_project_cost_the_other_nothing(server):
    visitors = [Visitor(server.port, "shop.example") for _ in range(4)]
    try:
        os.kill(page_of(server, "blog")[1], 9)
        server.wait_for(r"blog: worker 1 .* was killed by SIGKILL")
        server.wait_for(r"blog: worker 1 \(pid \d+\) is ready")
        assert server.command("reload", "blog")[2] == 0
        os.kill(site_of(server, "blog")["pid"], 9)
        wait_until_up(server, "blog")
        assert page_of(server, "blog")[0][2] == "read"
    finally:
        seen = [visitor.finish() for visitor in visitors]
    assert seen == [{200}] * 4


def test_a_reload_of_one_project_loses_none_of_its_own_requests(server):
    visitors = [Visitor(server.port, "shop.example") for _ in range(4)]
    for generation in (2, 3, 4):
        assert server.command("reload", "shop")[0] == f"shop: generation {generation} serves\n"
    assert [visitor.finish() for visitor in visitors] == [{200}] * 4
