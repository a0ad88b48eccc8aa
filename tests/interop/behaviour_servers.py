"""How each server is started for a project: Penstock, those in its place, and those in front of it.

All but Penstock itself run with what `penstock export` writes for the project, to the letter: nothing is added here.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import apache_server
import haproxy_server
import nginx_server
import penstock_server
from behaviour_cells import (
    APACHE_BY_UWSGI,
    APACHE_PROXY,
    GUNICORN,
    HAPROXY,
    MOD_WSGI,
    NGINX,
    NGINX_AND_GUNICORN,
    NGINX_AND_UWSGI,
    NGINX_BY_UWSGI,
    NGINX_WITH_FILES,
    UWSGI,
    Absent,
    Different,
)
from behaviour_projects import Place
from exported import export
from foreign_server import SCRIPTS, free_port, running
from interop_project import give_away

Address = tuple[str, int]

NAME = "behaviour"
GUNICORN_COMMAND = (SCRIPTS / "gunicorn", "--config", "gunicorn.conf.py", "--no-control-socket")
UWSGI_COMMAND = (SCRIPTS / "uwsgi", "--ini", f"{NAME}.uwsgi.ini")
ANY_PORT = "--bind=127.0.0.1:0"


class Running:
    """The servers of one project, each started when it is first asked for."""

    def __init__(self, place: Place, stack: ExitStack) -> None:
        self.place, self.stack = place, stack
        self.found: dict[str, Address] = {}

    def address(self, server: "Server") -> Address:
        """Where this server listens."""
        if server.name not in self.found:
            self.found[server.name] = server.start(self)
        return self.found[server.name]

    def directory(self) -> Path:
        """A new one, which every server may read."""
        directory = Path(self.stack.enter_context(TemporaryDirectory(prefix="behaviour-")))
        directory.chmod(0o755)
        return directory

    def export(self, kind: str, *arguments: str, to: Path | None = None) -> Path:
        """Exports the project as Penstock serves it; the directory with the files."""
        directory = to or self.directory()
        words = [f"--name={NAME}", *settings(self.place), *arguments]
        export(self.place.directory, kind, *words, to=directory, **self.place.variables)
        return directory

    def run(self, directory: Path, ready: str, *command: str | Path) -> str:
        """Starts a server in the directory with its file; the first group of what it writes when it is ready."""
        started = running(command, directory, ready, self.place.variables)
        return (self.stack.enter_context(started).groups() or [""])[0]

    def enter(self, server: AbstractContextManager[str]) -> Address:
        """Starts what yields a base URL."""
        return address_of(self.stack.enter_context(server))

    @cached_property
    def socket(self) -> str:
        """The unix socket of Penstock."""
        return f"unix:{self.directory()}/site.sock"

    @cached_property
    def penstock(self) -> Address:
        """Penstock on TCP and on a unix socket, for visitors and for the proxies that speak HTTP."""
        return self.enter(penstock(self.place, f"--bind={self.socket}"))

    @cached_property
    def penstock_by_uwsgi(self) -> str:
        """The same for web servers that speak the uwsgi protocol: the address to bind."""
        bind = f"uwsgi:127.0.0.1:{free_port()}"
        self.enter(penstock(self.place, f"--bind={bind}"))
        return bind

    @cached_property
    def penstock_for_haproxy(self) -> Address:
        """The same with the PROXY protocol."""
        return self.enter(penstock(self.place, "--proxy-protocol"))


@dataclass(frozen=True)
class Server:
    """One column of the table."""

    name: str
    start: Callable[[Running], Address]
    cells: dict[str, Absent | Different] = field(default_factory=dict)


@contextmanager
def servers_of(place: Place) -> Iterator[Running]:
    """Ends all that was started for the project."""
    with ExitStack() as stack:
        yield Running(place, stack)


def address_of(url: str) -> Address:
    parts = urlsplit(url)
    return parts.hostname, parts.port


def settings(place: Place) -> list[str]:
    """What is served, and exported. Static and media files are found in the project's settings."""
    members = {"path": "/probe/members/", "groups": ["members"], "over_http": True}
    return [
        *("--workers=1", "--threads=4", "--mounts=/guests=guestbook:app", f"--auth={json.dumps(members)}"),
        f"--protected=/protected/={place.protected}",
    ]


def penstock(place: Place, *arguments: str) -> AbstractContextManager[str]:
    return penstock_server.start(place.directory, *settings(place), *arguments, **place.variables)


def gunicorn(running: Running) -> Address:
    files = running.export("gunicorn", ANY_PORT)
    return address_of(running.run(files, r"Listening at: (http://\S+)", *GUNICORN_COMMAND))


def uwsgi(running: Running) -> Address:
    files = running.export("uwsgi", ANY_PORT)
    return address_of(f"http://{running.run(files, r'bound to TCP address (127[.0-9]+:[0-9]+)', *UWSGI_COMMAND)}")


def mod_wsgi(running: Running) -> Address:
    place, port = running.place, free_port()
    running.export("mod_wsgi", f"--listen=127.0.0.1:{port}", to=place.directory)
    give_away(place.directory)
    site = place.directory / f"{NAME}.conf"
    running.stack.enter_context(apache_server.start_site(site, port, **place.variables))
    return "127.0.0.1", port


def behind_nginx(*arguments: str) -> Callable[[Running], Address]:
    def start(running: Running) -> Address:
        host, port = running.penstock
        return nginx(running, f"--bind={host}:{port}", *arguments)

    return start


def behind_nginx_by_socket(running: Running) -> Address:
    assert running.penstock, "it makes the socket"
    return nginx(running, f"--bind={running.socket}")


def gunicorn_behind_nginx(running: Running) -> Address:
    bind = f"--bind=unix:{running.directory()}/site.sock"
    running.run(running.export("gunicorn", bind), "Booting worker", *GUNICORN_COMMAND)
    return nginx(running, bind, "--files=proxy")


def uwsgi_behind_nginx(running: Running) -> Address:
    words = (f"--bind=unix:{running.directory()}/site.sock", "--protocol=uwsgi")
    running.run(running.export("uwsgi", *words), "spawned uWSGI worker", *UWSGI_COMMAND)
    return nginx(running, *words, "--files=proxy")


def nginx(running: Running, *arguments: str) -> Address:
    port = free_port()
    files = running.export("nginx", f"--listen=127.0.0.1:{port}", *arguments)
    running.stack.enter_context(nginx_server.start(files / f"{NAME}.nginx.conf"))
    return "127.0.0.1", port


def behind_nginx_by_uwsgi(running: Running) -> Address:
    return nginx(running, f"--bind={running.penstock_by_uwsgi}")


def behind_apache(running: Running) -> Address:
    host, port = running.penstock
    return apache(running, f"--bind={host}:{port}")


def behind_apache_by_uwsgi(running: Running) -> Address:
    return apache(running, f"--bind={running.penstock_by_uwsgi}")


def apache(running: Running, *arguments: str) -> Address:
    port = free_port()
    files = running.export("apache", f"--listen=127.0.0.1:{port}", *arguments)
    running.stack.enter_context(apache_server.start_site(files / f"{NAME}.conf", port))
    return "127.0.0.1", port


def behind_haproxy(running: Running) -> Address:
    return haproxy(running, running.penstock)


def behind_haproxy_by_proxy_protocol(running: Running) -> Address:
    return haproxy(running, running.penstock_for_haproxy, "--proxy-protocol")


def haproxy(running: Running, behind: Address, *arguments: str) -> Address:
    port = free_port()
    bind = f"--bind={behind[0]}:{behind[1]}"
    files = running.export("haproxy", f"--listen=127.0.0.1:{port}", bind, *arguments)
    running.stack.enter_context(haproxy_server.start(files / "haproxy.cfg"))
    return "127.0.0.1", port


SERVERS = (
    Server("Penstock", lambda running: running.penstock),
    Server("Gunicorn", gunicorn, GUNICORN),
    Server("nginx and Gunicorn", gunicorn_behind_nginx, NGINX_AND_GUNICORN),
    Server("uWSGI", uwsgi, UWSGI),
    Server("nginx and uWSGI", uwsgi_behind_nginx, NGINX_AND_UWSGI),
    Server("Apache with mod_wsgi", mod_wsgi, MOD_WSGI),
    Server("nginx", behind_nginx(), NGINX),
    Server("nginx, unix socket", behind_nginx_by_socket, NGINX),
    Server("nginx with the files", behind_nginx("--files=proxy"), NGINX_WITH_FILES),
    Server("nginx, uwsgi", behind_nginx_by_uwsgi, NGINX_BY_UWSGI),
    Server("Apache as proxy", behind_apache, APACHE_PROXY),
    Server("Apache, uwsgi", behind_apache_by_uwsgi, APACHE_BY_UWSGI),
    Server("HAProxy", behind_haproxy, HAPROXY),
    Server("HAProxy, PROXY protocol", behind_haproxy_by_proxy_protocol),
)
