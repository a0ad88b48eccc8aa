"""Projects, exported, and started with exactly the exported files: every server gives the same answers."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import apache_server
import haproxy_server
import nginx_server
import pytest
from exported import AS_SYSTEMD, LIVE, Visitor, export, new_library
from foreign_server import SCRIPTS, free_port, running
from interop_project import give_away, manage
from PIL import Image

PRODUCTION = {"DJANGO_ENV": "production", "SECRET_KEY": "a-key-of-production-" * 3, "USE_HTTPS": "0"}
READY = r"worker \d+ \(pid \d+\) is ready"


class Chain:
    """What serves a project: the servers that are started, with the files that were exported for them."""

    def __init__(self, project: Path, variables: dict[str, str], place: Path, servers: ExitStack) -> None:
        self.project, self.variables, self.place, self.servers = project, variables, place, servers
        self.name = project.name
        self.port = free_port()
        self.socket = f"unix:{place}/site.sock"

    def export(self, kind: str, *arguments: str, to: Path | None = None) -> None:
        export(self.project, kind, *arguments, to=to or self.place, **self.variables)

    def run(self, ready: str, *command: str | Path, **environment: str) -> None:
        self.servers.enter_context(running(command, self.place, ready, self.variables | environment))

    def penstock(self, *arguments: str) -> None:
        self.servers.enter_context(
            running([SCRIPTS / "penstock", "serve", "--workers=1", *arguments], self.project, READY, self.variables)
        )

    def nginx(self, *arguments: str, bind: str = "") -> None:
        self.export("nginx", f"--listen=127.0.0.1:{self.port}", f"--bind={bind or self.socket}", *arguments)
        self.servers.enter_context(nginx_server.start(self.place / f"{self.name}.nginx.conf"))


def nginx_and_penstock(chain: Chain) -> None:
    chain.penstock(f"--bind={chain.socket}")
    chain.nginx()


def nginx_with_files_and_penstock(chain: Chain) -> None:
    chain.penstock(f"--bind={chain.socket}")
    chain.nginx("--files=proxy")


def nginx_and_gunicorn(chain: Chain) -> None:
    chain.export("gunicorn", f"--bind={chain.socket}", "--workers=1")
    chain.run("Booting worker", SCRIPTS / "gunicorn", "--config", "gunicorn.conf.py", "--no-control-socket")
    chain.nginx("--files=proxy")


def nginx_and_uwsgi(chain: Chain) -> None:
    chain.export("uwsgi", f"--bind={chain.socket}", "--workers=1", "--protocol=uwsgi")
    chain.run("spawned uWSGI worker", SCRIPTS / "uwsgi", "--ini", f"{chain.name}.uwsgi.ini")
    chain.nginx("--files=proxy", "--protocol=uwsgi")


def nginx_by_uwsgi_and_penstock(chain: Chain) -> None:
    chain.penstock(f"--bind=uwsgi:{chain.socket}")
    chain.nginx(bind=f"uwsgi:{chain.socket}")


def apache_by_uwsgi_and_penstock(chain: Chain) -> None:
    bind = f"uwsgi:127.0.0.1:{free_port()}"
    chain.penstock(f"--bind={bind}")
    chain.export("apache", f"--listen=127.0.0.1:{chain.port}", f"--bind={bind}")
    chain.servers.enter_context(apache_server.start_site(chain.place / f"{chain.name}.conf", chain.port))


def apache_and_penstock(chain: Chain) -> None:
    bind = f"127.0.0.1:{free_port()}"
    chain.penstock(f"--bind={bind}")
    chain.export("apache", f"--listen=127.0.0.1:{chain.port}", f"--bind={bind}")
    chain.servers.enter_context(apache_server.start_site(chain.place / f"{chain.name}.conf", chain.port))


def haproxy_and_penstock(chain: Chain) -> None:
    chain.penstock(f"--bind={chain.socket}", "--proxy-protocol")
    chain.export("haproxy", f"--listen=127.0.0.1:{chain.port}", f"--bind={chain.socket}", "--proxy-protocol")
    chain.servers.enter_context(haproxy_server.start(chain.place / "haproxy.cfg"))


def mod_wsgi(chain: Chain) -> None:
    # Where tests run, a daemon may get its turn late.
    patience = "--queue-timeout=60s"
    chain.export("mod_wsgi", f"--listen=127.0.0.1:{chain.port}", "--workers=1", patience, to=chain.project)
    give_away(chain.project)
    chain.servers.enter_context(
        apache_server.start_site(chain.project / f"{chain.name}.conf", chain.port, **chain.variables)
    )


def uwsgi(chain: Chain) -> None:
    chain.export("uwsgi", f"--bind=127.0.0.1:{chain.port}", "--workers=1")
    chain.run("spawned uWSGI worker", SCRIPTS / "uwsgi", "--ini", f"{chain.name}.uwsgi.ini")


def procfile(chain: Chain) -> None:
    chain.export("procfile", "--workers=1")
    line = re.search(r"(?m)^web: (.*)$", (chain.place / "Procfile").read_text())[1]
    path = f"{SCRIPTS}:{os.environ['PATH']}"
    chain.run(READY, "sh", "-c", f"cd {chain.project} && exec {line}", PATH=path, PORT=str(chain.port))


def systemd(chain: Chain) -> None:
    chain.export("systemd", f"--bind=127.0.0.1:{chain.port}", "--workers=1")
    service, socket = ((chain.place / f"{chain.name}.{kind}").read_text() for kind in ("service", "socket"))
    address = re.search(r"ListenStream=(.*)", socket)[1]
    variables = [f"Environment={name}={value}" for name, value in LIVE.items()]
    assert [line for line in service.splitlines() if line.startswith("Environment=")] == variables
    words = shlex.split(re.search(r"ExecStart=(.*)", service)[1])
    chain.run(READY, sys.executable, "-c", AS_SYSTEMD, chain.project, address, *words)


CHAINS = (
    nginx_and_penstock,
    nginx_with_files_and_penstock,
    nginx_and_gunicorn,
    nginx_and_uwsgi,
    nginx_by_uwsgi_and_penstock,
    apache_by_uwsgi_and_penstock,
    apache_and_penstock,
    haproxy_and_penstock,
    mod_wsgi,
    uwsgi,
    procfile,
    systemd,
)
# These know nothing of [[site.auth]], and say so when they are exported.
WITHOUT_GUARDS = ("nginx_and_gunicorn", "nginx_and_uwsgi", "uwsgi")


@contextmanager
def started(chain, project: Path, variables: dict[str, str]) -> Iterator[str]:
    """Runs a chain; yields its address."""
    with TemporaryDirectory(prefix="export-") as place, ExitStack() as servers:
        os.chmod(place, 0o755)
        links = Chain(project, variables, Path(place), servers)
        chain(links)
        yield f"http://127.0.0.1:{links.port}"


@pytest.fixture(scope="module", params=CHAINS, ids=[chain.__name__ for chain in CHAINS])
def address(request) -> Iterator[str]:
    with new_library() as library, started(request.param, library, LIVE) as found:
        yield found


@pytest.fixture
def visitor(address) -> Visitor:
    return Visitor(address)


@pytest.fixture
def member(visitor) -> Visitor:
    visitor.post_form("/accounts/login/", {"username": "librarian", "password": "library"}).raise_for_status()
    return visitor


def test_a_page_is_shown(visitor):
    link = re.search(r'href="(/books/\d+/)"[^§]*?<strong>Walden', visitor.get("/?q=walden").text)[1]
    assert "Henry David Thoreau, 1854" in visitor.get(link).text


def test_a_page_that_does_not_exist_is_djangos_404(visitor):
    answer = visitor.get("/books/999/")
    assert (answer.status_code, answer.headers["X-Frame-Options"]) == (404, "DENY")


def test_a_form_without_its_csrf_token_is_refused(visitor):
    assert visitor.post("/books/add/", data={"title": "Emma"}).status_code == 403


def test_somebody_logs_in(member):
    assert "librarian" in member.get("/").text


def test_an_upload_is_served_from_media(visitor):
    picture = BytesIO()
    Image.effect_noise((300, 300), 90).save(picture, "PNG")
    book = {"title": "Emma", "author": "Jane Austen", "year": "1815", "summary": "She means well."}
    page = visitor.post_form("/books/add/", book, {"cover": ("emma.png", picture.getvalue(), "image/png")})
    assert "“Emma” is on the shelf." in page.text
    cover = visitor.get(re.search(r'src="(/media/covers/[^"]+)"', page.text)[1])
    assert (cover.headers["Content-Type"], cover.content) == ("image/png", picture.getvalue())


def test_a_static_file_is_sent_once(visitor):
    style = re.search(r'href="(/static/catalogue/style\.[0-9a-f]{12}\.css)"', visitor.get("/").text)[1]
    answer = visitor.get(style)
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/css")
    since = {"If-Modified-Since": answer.headers["Last-Modified"]}
    assert visitor.get(style, headers=since).status_code == 304


def test_a_protected_file_is_for_members(member, address):
    assert "/accounts/login/" in Visitor(address).get("/books/8/notes/").url
    answer = member.get("/books/8/notes/")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert b"Walden" in answer.content
    assert Visitor(address).get("/protected/walden.txt").status_code == 404


def test_a_guarded_path_asks_for_a_user_of_the_group(visitor, request):
    if any(f"[{name}]" in request.node.name for name in WITHOUT_GUARDS):
        assert visitor.get("/catalogue.csv").status_code == 200
        return
    assert visitor.get("/catalogue.csv").headers["WWW-Authenticate"].startswith("Basic")
    statuses = [
        visitor.get("/catalogue.csv", auth=one).status_code
        for one in (("librarian", "wrong"), ("reader", "reader"), ("librarian", "library"))
    ]
    assert statuses[0] == 401
    assert statuses[1] in (401, 403)
    assert statuses[2] == 200


@pytest.mark.parametrize("chain", [nginx_with_files_and_penstock, nginx_and_gunicorn, nginx_and_uwsgi, mod_wsgi])
def test_a_new_project_is_served_as_in_production(project, chain):
    for command in ("migrate", "collectstatic"):
        manage(project, command, "--no-input", **PRODUCTION)
    with started(chain, project, PRODUCTION) as address:
        page = Visitor(address).get("/").text
        assert "It works" in page
        style = Visitor(address).get(re.search(r'href="(/static/site\.[0-9a-f]{12}\.css)"', page)[1])
        assert style.headers["Content-Type"].partition(";")[0] == "text/css"
