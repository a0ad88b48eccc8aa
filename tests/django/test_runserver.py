"""`penstock runserver` and `manage.py runserver`, used as a developer uses them: save, look, mend, press Ctrl-C."""

import os
import re
import socket
import subprocess
import time
from contextlib import ExitStack

import pytest
from developing import MANAGE, PENSTOCK, Developing, developing, write_project
from running_site import PATIENCE

COMMANDS = pytest.mark.parametrize("command", [PENSTOCK, MANAGE], ids=["penstock", "manage.py"])


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path)


def ask_until(server, path, wanted):
    """Asks again and again until the answer has the words; no request may be refused in between."""
    end = time.monotonic() + PATIENCE
    while wanted not in (text := server.get(path).text):
        assert time.monotonic() < end, f"{path} still says {text!r}"


@COMMANDS
def test_the_project_is_served_with_its_static_files_and_debug_pages(project, command):
    with developing(project, command=command) as server:
        server.wait_for("Performing system checks")
        server.wait_for("no issues")
        server.wait_for("using settings 'shop.settings'")
        server.wait_until_ready()
        assert server.get("/text/").text == "one"
        assert server.get("/static/shelf.css").text == "p { color: black }"
        assert "could not be found" in server.get("/static/missing.css").text
        assert "the shelf is empty" in server.get("/fails/").text
        assert "Using the URLconf defined in" in server.get("/missing/").text
        server.wait_for(r"200 +\S+ ms +3 B  GET  /text/\n")
        server.wait_for(r"500 +\S+ ms +\S+ kB  GET  /fails/\n")


@COMMANDS
def test_a_saved_view_answers_and_no_request_is_refused_meanwhile(project, command):
    with developing(project, command=command) as server:
        server.wait_until_ready()
        for old, new in [("one", "two"), ("two", "six")]:
            server.save("shelf/views.py", f'"{old}"', f'"{new}"')
            ask_until(server, "/text/", new)
        server.wait_for("views.py changed")
        server.wait_for(r"reloaded in \d+\.\d\d s")


def test_a_saved_template_is_shown_by_the_same_process(project):
    with developing(project) as server:
        server.wait_until_ready()
        pid = server.get("/pid/").text
        assert "first words" in server.get("/").text
        server.save("shelf/templates/page.html", "first", "other")
        ask_until(server, "/", "other words")
        assert server.get("/pid/").text == pid


@COMMANDS
def test_settings_and_env_files_are_read_anew(project, command):
    with developing(project, command=command) as server:
        server.wait_until_ready()
        assert server.get("/greeting/").text == "good day"
        server.save("shop/settings.py", "good day", "good night")
        ask_until(server, "/greeting/", "good night")
        if command == PENSTOCK:  # manage.py reads no .env by itself
            project.joinpath(".env").write_text("GREETING=ahoy\n")
            ask_until(server, "/greeting/", "ahoy")
            project.joinpath(".env").unlink()
            ask_until(server, "/greeting/", "good night")


@COMMANDS
@pytest.mark.parametrize(
    ("name", "text"),
    [("shelf/views.py", "def broken(:"), ("shelf/views.py", "missing_name"), ("shop/settings.py", "def broken(:")],
    ids=["syntax of a view", "name in a view", "syntax of the settings"],
)
def test_a_mistake_is_shown_until_it_is_mended(project, command, name, text):
    with developing(project, command=command) as server:
        server.wait_until_ready()
        good = project.joinpath(name).read_text()
        project.joinpath(name).write_text(good + text + "\n")
        server.wait_for("waiting for a change")
        failure = server.get("/text/", headers={"Accept": "text/html"})
        assert failure.status_code == 500
        assert text in failure.text
        assert "refresh.js" in failure.text
        assert text in server.get("/text/").text
        project.joinpath(name).write_text(good)
        ask_until(server, "/text/", "one")


@COMMANDS
def test_settings_that_end_the_program_are_heard(project, command):
    settings = project / "shop/settings.py"
    good = settings.read_text()
    with developing(project, command=command) as server:
        server.wait_until_ready()
        settings.write_text(good + 'import sys\nsys.exit("GREETING must be set")\n')
        server.wait_for(r"it called sys.exit\('GREETING must be set'\)")
        settings.write_text(good)
        ask_until(server, "/text/", "one")


@COMMANDS
def test_a_mistake_in_penstock_toml_is_shown_until_it_is_mended(project, command):
    with developing(project, command=command) as server:
        server.wait_until_ready()
        project.joinpath("penstock.toml").write_text("[site]\nworkres = 2\n")
        server.wait_for("has no key 'workres'")
        server.wait_for("waiting for a change")
        project.joinpath("penstock.toml").write_text("")
        ask_until(server, "/text/", "one")


def test_a_mistake_at_the_first_start_is_shown_until_it_is_mended(project):
    views = project / "shelf/views.py"
    good = views.read_text()
    views.write_text("def broken(:\n")
    with developing(project) as server:
        server.wait_for("invalid syntax in shelf/views.py, line 1")
        server.wait_for("watching for changes")
        views.write_text(good)
        server.address = server.wait_for(r"http://\S+:\d+")[0]
        assert server.get("/text/").text == "one"


def test_a_module_that_was_missing_is_found_when_it_is_there(project):
    with developing(project) as server:
        server.wait_until_ready()
        server.save("shelf/views.py", "import os\n", "import os\nimport shelf.prices\n")
        server.wait_for("No module named 'shelf.prices'")
        project.joinpath("shelf/prices.py").write_text("")
        ask_until(server, "/text/", "one")


def test_what_the_reloader_has_loaded_itself_is_loaded_anew(project, tmp_path_factory):
    library = tmp_path_factory.mktemp("library")
    library.joinpath("sitecustomize.py").write_text("import os\nos.environ['GREETING'] = 'one'\n")
    with developing(project, PYTHONPATH=str(library)) as server:
        server.wait_until_ready()
        assert server.get("/greeting/").text == "one"
        library.joinpath("sitecustomize.py").write_text("import os\nos.environ['GREETING'] = 'two'\n")
        ask_until(server, "/greeting/", "two")


def test_a_process_that_ends_by_itself_is_told_and_replaced_at_the_next_change(project):
    with developing(project) as server:
        server.wait_until_ready()
        with pytest.raises(OSError):
            server.get("/leaves/")
        server.wait_for("exited with status 7; waiting for a change")
        server.save("shelf/views.py", '"one"', '"two"')
        ask_until(server, "/text/", "two")


@COMMANDS
def test_ctrl_c_stops_beside_a_request_that_hangs_and_a_page_that_waits_for_changes(project, command):
    with developing(project, command=command) as server:
        server.wait_until_ready()
        page = server.get("/", headers={"Accept": "text/html"}).text
        version = re.search(r'data-version="(\w+)"', page)[1]
        host, port = server.address.removeprefix("http://").split(":")
        with ExitStack() as connections:
            for path in (f"/.penstock/version?since={version}", "/hangs/"):
                connection = connections.enter_context(socket.create_connection((host, int(port)), PATIENCE))
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
            server.wait_for("hanging")
            assert server.interrupt() == 0


@COMMANDS
@pytest.mark.parametrize("arguments", [(), ("--noreload",)], ids=["reloading", "noreload"])
def test_a_port_in_use_is_told_with_its_holder_and_exit_3(project, command, arguments):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        done = subprocess.run(
            [*command, port, *arguments], cwd=project, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    assert done.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}: the address is in use by pid" in done.stderr
    assert f"runserver {int(port) + 1}" in done.stderr


def test_an_address_of_no_form_is_a_wrong_usage(project):
    done = subprocess.run([*PENSTOCK, "eight"], cwd=project, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "'eight' is not a port number" in done.stderr


def test_without_a_django_project_the_way_to_serve_others_is_told(tmp_path):
    tmp_path.joinpath("hello.py").write_text("def application(environ, start_response): ...\n")
    tmp_path.joinpath("penstock.toml").write_text('[site]\napp = "hello"\n')
    done = subprocess.run(PENSTOCK, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "penstock serve --reload" in done.stderr


@COMMANDS
def test_breakpoint_talks_to_the_terminal(project, command):
    with developing(project, command=command, terminal=True) as server:
        server.wait_until_ready()
        host, port = server.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(b"GET /stops/ HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
            server.wait_for(r"\(Pdb\) ")
            type_in(server, "book = 'Emma'")
            server.wait_for(r"\(Pdb\) ")
            type_in(server, "continue")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert answer.endswith(b"Emma")


def test_a_change_ends_a_debugger(project):
    with developing(project, terminal=True) as server:
        server.wait_until_ready()
        host, port = server.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(b"GET /stops/ HTTP/1.1\r\nHost: shop\r\n\r\n")
            server.wait_for(r"\(Pdb\) ")
            server.save("shelf/views.py", '"one"', '"two"')
            ask_until(server, "/text/", "two")


def test_requests_are_coloured_on_a_terminal_only_and_not_with_no_color(project):
    for terminal, environment, has_colour in [(True, {}, True), (True, {"NO_COLOR": "1"}, False), (False, {}, False)]:
        with developing(project, terminal=terminal, **environment) as server:
            server.wait_until_ready()
            server.get("/text/")
            assert ("\x1b[32m200" in raw_until(server, "/text/")) is has_colour


def test_noreload_serves_in_one_process(project):
    with developing(project, "--noreload", command=MANAGE) as server:
        server.address = server.wait_for(r"http://\S+:\d+")[0]
        assert server.get("/pid/").text == str(server.process.pid)
        assert "refresh.js" not in server.get("/", headers={"Accept": "text/html"}).text


def test_nothreading_calls_the_application_from_one_thread(project):
    with developing(project, "--nothreading") as server:
        server.wait_until_ready()
        assert server.get("/threads/").text == "False"
        assert server.get("/.penstock/version?since=").json()["pause"] > 0


def test_nostatic_leaves_static_files_to_the_application(project):
    with developing(project, "--nostatic") as server:
        server.wait_until_ready()
        assert "Using the URLconf defined in" in server.get("/static/shelf.css").text


def test_insecure_serves_static_files_without_debug(project):
    settings = project / "shop/settings.py"
    settings.write_text(settings.read_text().replace("DEBUG = True", "DEBUG = False"))
    with developing(project) as server:
        server.wait_until_ready()
        assert server.get("/static/shelf.css").status_code == 404
    with developing(project, "--insecure") as server:
        server.wait_until_ready()
        assert server.get("/static/shelf.css").text == "p { color: black }"


def test_skip_checks_skips_them(project):
    with developing(project, "--skip-checks") as server:
        server.wait_until_ready()
        assert "system checks" not in server.heard


def test_ipv6_is_listened_on(project):
    with developing(project, "-6", address="0") as server:
        server.wait_until_ready()
        assert server.address.startswith("http://[::1]:")
        assert server.get("/text/").text == "one"


def test_unapplied_migrations_are_told_first(project):
    settings = project / "shop/settings.py"
    settings.write_text(settings.read_text().replace('"shelf"]', '"django.contrib.contenttypes"]'))
    with developing(project) as server:
        server.wait_for(r"You have 2 unapplied migration\(s\)")
        server.wait_until_ready()


def test_a_failed_check_is_shown_until_it_is_mended(project):
    with developing(project) as server:
        server.wait_until_ready()
        server.save("shop/settings.py", 'STATIC_URL = "static/"', 'STATIC_URL = "static/"\nSTATICFILES_DIRS = "none"')
        server.wait_for("The STATICFILES_DIRS setting is not a tuple or list")
        server.save("shop/settings.py", '\nSTATICFILES_DIRS = "none"', "")
        ask_until(server, "/text/", "one")


def test_a_logger_of_the_projects_own_gets_the_requests(project):
    settings = project / "shop/settings.py"
    settings.write_text(
        settings.read_text()
        + "LOGGING = {'version': 1, 'handlers': {'own': {'class': 'logging.FileHandler', 'filename': 'own.log'}},"
        " 'loggers': {'django.server': {'handlers': ['own'], 'level': 'INFO', 'propagate': False}}}\n"
    )
    with developing(project) as server:
        server.wait_until_ready()
        server.get("/text/")
    assert project.joinpath("own.log").read_text() == '"GET /text/ HTTP/1.1" 200 3\n'


def type_in(server: Developing, text: str) -> None:
    os.write(server.terminal, text.encode() + b"\n")


def raw_until(server: Developing, text: str) -> str:
    """What is written from now on, with colours, up to a text."""
    seen = server.written
    while text not in seen:
        seen += server.pieces.get(timeout=PATIENCE)
    return seen
