"""The same project under another server, and under Penstock with what was imported from that configuration."""

import shlex
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import apache_server
import penstock_server
import pytest
from foreign_server import SCRIPTS, free_port, running
from interop_project import give_away, manage

VARIABLES = {"DJANGO_ENV": "production", "SECRET_KEY": "a-key-of-production-" * 3, "USE_HTTPS": "0"}


@pytest.fixture(scope="module")
def ready_project(project):
    manage(project, "migrate")
    manage(project, "collectstatic", "--no-input", **VARIABLES)
    give_away(project)
    return project


def answers(address, *paths):
    """What a visitor without a password sees: status, type, and the page's heading."""
    found = []
    for path in paths:
        try:
            with urlopen(Request(address + path), timeout=60) as response:
                found.append((path, response.status, response.headers["Content-Type"], b"It works" in response.read()))
        except HTTPError as error:
            found.append((path, error.code, error.headers["Content-Type"], False))
    return found


def import_site(project, *words):
    """Imports in the project's directory, beside its own penstock.toml; returns the flag that takes the result."""
    output = project / "imported.toml"
    output.unlink(missing_ok=True)
    command = [SCRIPTS / "penstock", "import", *words, "--output", output]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return f"--config={output}"


@contextmanager
def under_gunicorn(project):
    config = project / "gunicorn.conf.py"
    config.write_text(
        'wsgi_app = "mysite.wsgi"\nbind = "127.0.0.1:0"\nworkers = 2\nthreads = 2\ncontrol_socket_disable = True\n'
        f"raw_env = {[f'{name}={value}' for name, value in VARIABLES.items()]!r}\n"
    )
    with running([SCRIPTS / "gunicorn"], project, r"Listening at: (http://\S+)") as ready:
        yield ready[1], [config]


@contextmanager
def under_uwsgi(project):
    if not (SCRIPTS / "uwsgi").exists():
        pytest.skip("uWSGI is not installed: the group test of pyproject.toml has it")
    config = project / "uwsgi.ini"
    config.write_text(
        "[uwsgi]\nhttp-socket = 127.0.0.1:0\nmodule = mysite.wsgi\nchdir = %d\nmaster = 1\nneed-app = 1\n"
        f"die-on-term = 1\nprocesses = 2\nthreads = 2\nvirtualenv = {sys.prefix}\nstatic-map = /static=%dvar/static\n"
        + "".join(f"env = {name}={value}\n" for name, value in VARIABLES.items())
    )
    with running([SCRIPTS / "uwsgi", config], project, r"bound to TCP address (127\.0\.0\.1:\d+)") as ready:
        yield f"http://{ready[1]}", [config]


@contextmanager
def under_procfile(project):
    process = f"gunicorn mysite.wsgi --bind 127.0.0.1:{free_port()} --workers 2 --threads 2 --no-control-socket"
    (project / "Procfile").write_text(f"release: python manage.py migrate\nweb: {process}\n")
    (project / "gunicorn.conf.py").unlink(missing_ok=True)
    command = [SCRIPTS / "gunicorn", *shlex.split(process)[1:]]
    with running(command, project, r"Listening at: (http://\S+)", VARIABLES) as ready:
        yield ready[1], ["Procfile"]


@pytest.mark.parametrize("server", [under_gunicorn, under_uwsgi, under_procfile])
def test_the_site_answers_as_before(ready_project, server):
    paths = ["/", "/admin/login/", "/nothing/"]
    with server(ready_project) as (address, sources):
        before = answers(address, *paths)
    flag = import_site(ready_project, *sources)
    with penstock_server.start(ready_project, flag, **VARIABLES) as address:
        assert answers(address, *paths) == before
    assert before[0] == ("/", 200, "text/html; charset=utf-8", True)


def test_a_site_of_apache_answers_as_before_also_where_it_is_guarded(ready_project):
    apache_server.skip_unless_installed()
    script = ready_project / "passwords.py"
    script.write_text(
        "def check_password(environ, user, password):\n    return (user, password) == ('anna', 'horse')\n"
    )
    guard = ["<Location /admin/>", "AuthType Basic", 'AuthName "Editors"', "AuthBasicProvider wsgi"]
    guard += [f"WSGIAuthUserScript {script}", "Require valid-user", "</Location>"]
    modules = ("auth_basic", "authn_core", "authz_user")
    load = [f"LoadModule {name}_module {apache_server.MODULES}/mod_{name}.so" for name in modules]
    # Variables of the process reach Apache's daemons as they reach Penstock.
    paths = ["/", "/admin/login/", "/nothing/"]
    static = ready_project / "var/static"
    with apache_server.start(ready_project, "mysite/wsgi.py", *load, *guard, static=static, **VARIABLES) as address:
        before = answers(address, *paths)
    site = [
        f"WSGIDaemonProcess mysite processes=2 threads=4 home={ready_project} python-path={ready_project}",
        "<VirtualHost *:8080>",
        "ServerName mysite.example",
        "WSGIProcessGroup mysite",
        f"WSGIScriptAlias / {ready_project}/mysite/wsgi.py",
        f"Alias /static/ {static}/",
        *guard,
        "</VirtualHost>",
    ]
    (ready_project / "site.conf").write_text("\n".join(site))
    flag = import_site(ready_project, "site.conf")
    with penstock_server.start(ready_project, flag, **VARIABLES) as address:
        assert [one[:2] for one in answers(address, *paths)] == [one[:2] for one in before]
        style = next(static.glob("site.*.css")).name
        assert answers(address, f"/static/{style}")[0][1] == 200
    assert before[1][1] == 401


def test_the_imported_file_has_a_line_for_each_choice(ready_project):
    (ready_project / "uwsgi.ini").write_text("[uwsgi]\nmodule = mysite.wsgi\nprocesses = 3\n")
    import_site(ready_project, "uwsgi.ini")
    text = (ready_project / "imported.toml").read_text()
    assert tomllib.loads(text) == {"site": {"app": "mysite.wsgi", "workers": 3}}
