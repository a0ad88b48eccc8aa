"""A new project runs unchanged under every server: what `wsgi.py stays standard` promises."""

import re
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import apache_server
import development_server
import gunicorn_server
import penstock_server
import pytest
import uwsgi_fronts
import uwsgi_server
from interop_project import give_away, manage

PRODUCTION = {"DJANGO_ENV": "production", "SECRET_KEY": "a-key-of-production-" * 3, "USE_HTTPS": "0"}
# Each: how it is started, and whether it serves static files in production.
SERVERS = {
    "penstock": (penstock_server.start, True),
    "penstock behind nginx": (uwsgi_fronts.nginx_before, True),
    "runserver": (development_server.start, False),
    "gunicorn": (lambda project, **variables: gunicorn_server.start(project, "mysite.wsgi", **variables), False),
    "uwsgi": (
        lambda project, **variables: uwsgi_server.start(
            project, "mysite.wsgi", static=project / "var/static", **variables
        ),
        True,
    ),
    "mod_wsgi": (
        lambda project, **variables: apache_server.start(
            project, "mysite/wsgi.py", static=project / "var/static", **variables
        ),
        True,
    ),
}


@pytest.fixture(scope="module")
def ready_project(project):
    """The project with its database, somebody who may log in, and its static files collected."""
    manage(project, "migrate")
    manage(
        project,
        *("createsuperuser", "--no-input", "--username=editor", "--email=editor@example.com"),
        DJANGO_SUPERUSER_PASSWORD="correct-horse",
    )
    manage(project, "collectstatic", "--no-input", **PRODUCTION)
    give_away(project)
    return project


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("variables", [{}, PRODUCTION], ids=["development", "production"])
def test_the_page_is_shown_and_an_editor_logs_in(ready_project, server, variables):
    start, has_files = SERVERS[server]
    with start(ready_project, **variables) as address:
        cookies = CookieJar()
        # A connection for each request: some of these servers close theirs without saying so.
        visitor = build_opener(HTTPCookieProcessor(cookies))
        page = visitor.open(f"{address}/", timeout=60).read().decode()
        assert "It works" in page
        login = f"{address}/admin/login/?next=/admin/"
        assert "Log in" in visitor.open(login, timeout=60).read().decode()
        [token] = [cookie.value for cookie in cookies if cookie.name == "csrftoken"]
        form = urlencode({"username": "editor", "password": "correct-horse", "csrfmiddlewaretoken": token})
        admin = visitor.open(Request(login, form.encode(), {"Referer": login}), timeout=60)
        assert "Site administration" in admin.read().decode()
        if variables and has_files:
            style = re.search(r'href="(/static/site\.[0-9a-f]{12}\.css)"', page)[1]
            assert visitor.open(address + style, timeout=60).headers["Content-Type"].startswith("text/css")
