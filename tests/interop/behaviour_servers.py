"""How each server is started for a project: Penstock, those in its place, and those in front of it.

The proxies are set up as docs/guides/behind-a-proxy.md has it.
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
import gunicorn_server
import haproxy_server
import nginx_server
import penstock_server
import uwsgi_server
from behaviour_cells import APACHE_PROXY, GUNICORN, MOD_WSGI, NGINX, UWSGI, Absent, Different
from behaviour_projects import Place
from foreign_server import free_port

Address = tuple[str, int]

NGINX_SITE = """\
upstream site {{ server {upstream}; keepalive 16; }}
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://site;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host "";
        client_max_body_size 0;
        proxy_request_buffering off;
    }}
}}
"""
APACHE_SITE = """\
<VirtualHost 127.0.0.1:{port}>
    AllowEncodedSlashes NoDecode
    MergeSlashes Off
    ProxyPreserveHost On
    RequestHeader set X-Forwarded-Proto "http"
    RequestHeader unset X-Forwarded-Host
    ProxyPass / http://{upstream}/ nocanon
</VirtualHost>
"""
HAPROXY = """\
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen site
    bind 127.0.0.1:{port}
    server penstock {upstream} {sends}
"""
MOD_WSGI_SITE = """\
WSGIPythonPath {place.directory}:{packages}
<Directory "{place.directory}">
    Require all granted
</Directory>
<VirtualHost 127.0.0.1:{port}>
    AllowEncodedSlashes On
    MergeSlashes Off
    WSGITrustedProxies 127.0.0.1
    WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Proto
    WSGIDaemonProcess site threads=4 home={place.directory} python-path={place.directory}:{packages}
    WSGIProcessGroup site
    WSGIApplicationGroup %{{GLOBAL}}
    Alias /static/ {place.static}/
    Alias /media/ {place.media}/
    WSGIScriptAlias /guests {place.directory}/guestbook.py
    WSGIScriptAlias / {place.directory}/{script}
    <Location /probe/members/>
        AuthType Basic
        AuthName "Members"
        AuthBasicProvider wsgi
        WSGIAuthUserScript {place.directory}/who_may_enter.py
        WSGIAuthGroupScript {place.directory}/who_may_enter.py
        AuthzSendForbiddenOnFailure On
        Require wsgi-group members
    </Location>
</VirtualHost>
"""


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

    def enter(self, server: AbstractContextManager[str]) -> Address:
        """Starts what yields a base URL."""
        parts = urlsplit(self.stack.enter_context(server))
        return parts.hostname, parts.port

    def file(self, name: str, text: str) -> Path:
        """A configuration, in a directory of its own."""
        path = Path(self.stack.enter_context(TemporaryDirectory(prefix="behaviour-")), name)
        path.parent.chmod(0o755)
        path.write_text(text)
        return path

    @cached_property
    def socket(self) -> str:
        """The unix socket of Penstock."""
        return str(Path(self.stack.enter_context(TemporaryDirectory(prefix="behaviour-")), "site.sock"))

    @cached_property
    def penstock(self) -> Address:
        """Penstock on TCP and on a unix socket, for visitors and for the proxies that speak HTTP."""
        return self.enter(penstock(self.place, "--bind", f"unix:{self.socket}"))

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


def penstock(place: Place, *arguments: str) -> AbstractContextManager[str]:
    """Static and media files are found in the project's settings."""
    members = {"path": "/probe/members/", "groups": ["members"], "over_http": True}
    return penstock_server.start(
        place.directory,
        *("--workers", "1", "--threads", "4", "--mounts", "/guests=guestbook:app", "--auth", json.dumps(members)),
        *("--protected", f"/protected/={place.protected}"),
        *arguments,
        **place.variables,
    )


def gunicorn(running: Running) -> Address:
    place = running.place
    threads = ("--threads", "4")
    return running.enter(gunicorn_server.start(place.directory, place.project.wsgi, *threads, **place.variables))


def uwsgi(running: Running) -> Address:
    place = running.place
    return running.enter(
        uwsgi_server.start(
            place.directory,
            place.project.wsgi,
            f"--static-map=/media={place.media}",
            *("--mount=/guests=guestbook:app", "--manage-script-name", "--honour-range"),
            static=place.static,
            **place.variables,
        )
    )


def mod_wsgi(running: Running) -> Address:
    place, port = running.place, free_port()
    script = f"{place.project.wsgi.replace('.', '/')}.py"
    text = MOD_WSGI_SITE.format(place=place, port=port, script=script, packages=apache_server.PACKAGES)
    site = running.file("site.conf", text)
    running.stack.enter_context(apache_server.start_site(site, port, **place.variables))
    return "127.0.0.1", port


def behind_nginx(running: Running) -> Address:
    host, port = running.penstock
    return nginx(running, f"{host}:{port}")


def behind_nginx_by_socket(running: Running) -> Address:
    assert running.penstock, "it makes the socket"
    return nginx(running, f"unix:{running.socket}")


def nginx(running: Running, upstream: str) -> Address:
    port = free_port()
    site = running.file("nginx.conf", NGINX_SITE.format(port=port, upstream=upstream))
    running.stack.enter_context(nginx_server.start(site))
    return "127.0.0.1", port


def behind_apache(running: Running) -> Address:
    host, penstock_port = running.penstock
    port = free_port()
    site = running.file("site.conf", APACHE_SITE.format(port=port, upstream=f"{host}:{penstock_port}"))
    running.stack.enter_context(apache_server.start_site(site, port))
    return "127.0.0.1", port


def behind_haproxy(sends: str) -> Callable[[Running], Address]:
    def start(running: Running) -> Address:
        host, penstock_port = running.penstock_for_haproxy
        port = free_port()
        text = HAPROXY.format(port=port, upstream=f"{host}:{penstock_port}", sends=sends)
        running.stack.enter_context(haproxy_server.start(running.file("haproxy.cfg", text)))
        return "127.0.0.1", port

    return start


SERVERS = (
    Server("Penstock", lambda running: running.penstock),
    Server("Gunicorn", gunicorn, GUNICORN),
    Server("uWSGI", uwsgi, UWSGI),
    Server("Apache with mod_wsgi", mod_wsgi, MOD_WSGI),
    Server("nginx, TCP", behind_nginx, NGINX),
    Server("nginx, unix socket", behind_nginx_by_socket, NGINX),
    Server("Apache as proxy", behind_apache, APACHE_PROXY),
    Server("HAProxy, PROXY 1", behind_haproxy("send-proxy")),
    Server("HAProxy, PROXY 2", behind_haproxy("send-proxy-v2")),
)
