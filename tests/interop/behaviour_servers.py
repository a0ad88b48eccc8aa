"""Who is asked: how each server is started for a project, and where it answers otherwise than behaviours.py has it.

A cell that is not named here is the same. What one says here is tested too, so that it cannot become untrue unseen.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
from behaviour_projects import Place

Address = tuple[str, int]


@dataclass(frozen=True)
class Absent:
    """The server does not offer this, or not without other software."""

    why: str


@dataclass(frozen=True)
class Different:
    """It answers something else. `why` says who is right by which standard, or that both are."""

    answer: str
    why: str


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

    def enter(self, server) -> Address:
        """Starts what yields a base URL, or host and port."""
        address = self.stack.enter_context(server)
        if isinstance(address, tuple):
            return address
        parts = urlsplit(address)
        return parts.hostname, parts.port

    @cached_property
    def socket(self) -> str:
        """The unix socket of Penstock."""
        return str(Path(self.stack.enter_context(TemporaryDirectory(prefix="penstock-")), "site.sock"))

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


def penstock(place: Place, *arguments: str):
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
    place = running.place
    modules = ("auth_basic", "authn_core", "authz_user")
    return running.enter(
        apache_server.start(
            place.directory,
            f"{place.project.wsgi.replace('.', '/')}.py",
            *(f"LoadModule {name}_module {apache_server.MODULES}/mod_{name}.so" for name in modules),
            "AllowEncodedSlashes On",
            "MergeSlashes Off",
            "WSGIChunkedRequest On",
            "WSGITrustedProxies 127.0.0.1",
            "WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Proto",
            f"WSGIPythonPath {place.directory}:{apache_server.PACKAGES}",
            f"Alias /media/ {place.media}/",
            f"WSGIScriptAlias /guests {place.directory}/guestbook.py",
            "<Location /probe/members/>",
            *("AuthType Basic", 'AuthName "Members"', "AuthBasicProvider wsgi", "AuthzSendForbiddenOnFailure On"),
            "Require wsgi-group members",
            *(f"WSGI{what}Script {place.directory}/who_may_enter.py" for what in ("AuthUser", "AuthGroup")),
            "</Location>",
            static=place.static,
            **place.variables,
        )
    )


def behind_nginx(running: Running) -> Address:
    host, port = running.penstock
    return running.enter(nginx_server.start(f"{host}:{port}"))


def behind_nginx_by_socket(running: Running) -> Address:
    return running.enter(nginx_server.start(f"unix:{running.socket}")) if running.penstock else ("", 0)


def behind_apache(running: Running) -> Address:
    host, port = running.penstock
    return running.enter(apache_server.start_in_front(f"http://{host}:{port}", running.place.directory))


def behind_haproxy(version: int) -> Callable[[Running], Address]:
    def start(running: Running) -> Address:
        host, port = running.penstock_for_haproxy
        return running.enter(haproxy_server.start(f"{host}:{port}", version))

    return start


def same(cell: Absent | Different, *behaviours: str) -> dict[str, Absent | Different]:
    """The same cell for several behaviours."""
    return dict.fromkeys(behaviours, cell)


NO_RANGES = Absent("it sends what the view gives it: ranges are the view's own work there")
NO_PASSWORDS = Absent("passwords are the application's there: the page is shown to everybody, or Django asks")
PASSED_ON = (
    "the field is for nginx; a server that does not know it passes it on, and clients learn where the file lies"
)
NO_TRUST = Absent("the address is the proxy's there; a middleware of the project has to read the field")
IGNORED_CHUNKS = Different(
    "200, 0 bytes",
    "chunks have no CONTENT_LENGTH there, and Django reads only as much as that says: the body is lost. Penstock has "
    "read the body by then, and says its length",
)
ANY_BYTES = Different(
    "200, café", "RFC 3986 has ASCII only, and RFC 9112 3.2 asks to refuse such a target; it takes it for UTF-8"
)
DOTS_RESOLVED = Different(
    "200, b/c", "both are allowed: RFC 3986 6.2.2.3 lets who reads a path resolve them, or leave it"
)
COMMA_BETWEEN_COOKIES = Different(
    "one=1, two=2",
    "clients send one field (RFC 6265 5.4); it joins two with a comma, which Django takes for part of the value; "
    "Penstock with a semicolon, as RFC 9113 8.2.3 does",
)
CHUNKS_WIN = Different(
    "200", "RFC 9112 6.3 allows both: to refuse it, or to believe the chunks and close; who sends it may be smuggling"
)
WITHOUT_CHARSET = Different("text/css", "both are right; without a charset, browsers go by that of the page")
NOT_HASHED = Absent("it does not know names with a hash; its configuration can add fields")
DOTS_SHOWN = Different("200", "both are right; Penstock never serves such names, as they are .git and .env")
OUTERMOST_SAYS = Different(
    "200, http",
    "it is outermost in this test: it says what it saw itself and drops what the client says, as our guide has it",
)
SENT_TWICE = "RFC 9110 5.3: fields of a list may be parted; nginx refuses this one when it comes twice"

GUNICORN_CELLS = {
    **same(
        Absent("it serves no files; WhiteNoise or a proxy has to"),
        *("upload_and_media", "example_form", "wagtail_image", "static_file", "static_type", "static_head"),
        *("static_by_date", "static_by_tag", "static_by_the_second_tag", "static_range", "static_range_past_the_end"),
        *("static_hashed", "static_post"),
    ),
    "protected_range": NO_RANGES,
    "protected_place": Different("told", PASSED_ON),
    **same(
        NO_PASSWORDS, "basic_without_password", "basic_with_wrong_password", "basic_for_a_member", "basic_for_others"
    ),
    **same(Absent("it serves one application"), "mounted", "mounted_redirect"),
    "forwarded_address": NO_TRUST,
    "chunked_body": IGNORED_CHUNKS,
    "absolute_form": Different(
        "200, http://site.example/probe/environ/",
        "RFC 9112 3.2.2: the host in the target counts, and the field Host has to be ignored",
    ),
    "field_twice": Different("200, a,b", "both are right: RFC 9110 5.3 has white space after the comma as an option"),
    "cookies_twice": Different("one=1,two=2", COMMA_BETWEEN_COOKIES.why),
    "no_host": Different("200", "RFC 9112 3.2: a request of HTTP/1.1 without Host has to be refused with 400"),
}

UWSGI_CELLS = {
    "protected_range": NO_RANGES,
    "protected_place": Different("told", PASSED_ON),
    **same(
        NO_PASSWORDS, "basic_without_password", "basic_with_wrong_password", "basic_for_a_member", "basic_for_others"
    ),
    "forwarded_address": NO_TRUST,
    "forged_scheme": Different(
        "200, https", "it believes the field from everybody: only a proxy in front may reach it"
    ),
    "chunked_body": IGNORED_CHUNKS,
    "expect_continue": Different(
        "nothing before the body, then 200",
        "RFC 9110 10.1.1: a server answers 100 or a final status at once; clients wait in vain, mostly for a second",
    ),
    "no_content": Different(
        "204, no body, Content-Length 0", "RFC 9110 8.6: no Content-Length with 204; Django's own field goes through"
    ),
    "raw_utf8_path": ANY_BYTES,
    "dots": DOTS_RESOLVED,
    "absolute_form": Different("404", "RFC 9112 3.2.2: a server has to accept it; the whole of it becomes the path"),
    "cookies_twice": COMMA_BETWEEN_COOKIES,
    "underscore": Different(
        "200, forged",
        "both names become HTTP_X_PROBE, so that a client can forge what a proxy sets; Penstock drops such fields, as "
        "nginx and Apache do",
    ),
    "kept_connection": Different("200 and no answer", "its plain HTTP socket closes after each response, unannounced"),
    "static_type": WITHOUT_CHARSET,
    **same(Absent("its files have no ETag"), "static_by_tag", "static_by_the_second_tag"),
    "static_hashed": NOT_HASHED,
    "static_hidden": DOTS_SHOWN,
    "static_post": Different(
        "404", "RFC 9110 15.5.6 has 405 for it; here the application is asked, which has no such page"
    ),
    **same(
        Different("200", "RFC 9112 6.3 and 5.1: it has to be refused, because two servers may read it in two ways"),
        *("two_lengths", "length_and_chunks", "unknown_coding", "space_before_colon"),
    ),
}

MOD_WSGI_CELLS = {
    "protected_range": NO_RANGES,
    "protected_place": Different("told", PASSED_ON),
    "chunked_body": IGNORED_CHUNKS,
    "raw_utf8_path": ANY_BYTES,
    "dots": DOTS_RESOLVED,
    "doubled_slashes": Different(
        "200, a/b", "to RFC 3986 these are two paths; mod_wsgi folds them for SCRIPT_NAME, Penstock changes nothing"
    ),
    "cookies_twice": COMMA_BETWEEN_COOKIES,
    "httpoxy": Different(
        "200, none",
        "both are right: a CGI program would take it for its own proxy (httpoxy), so that Apache drops it; an environ "
        "of WSGI is not the environment of a process",
    ),
    "static_type": WITHOUT_CHARSET,
    "static_hashed": NOT_HASHED,
    "static_hidden": DOTS_SHOWN,
    "static_post": Different("200", "RFC 9110 15.5.6 has 405 for a method that a file does not know"),
    "length_and_chunks": CHUNKS_WIN,
}

NGINX_CELLS = {
    "forwarded_scheme": OUTERMOST_SAYS,
    "not_modified_page_by_the_second_field": Different("400, a body, not its ETag", SENT_TWICE),
    "static_by_the_second_tag": Different("400", SENT_TWICE),
}

APACHE_PROXY_CELLS = {
    "forwarded_scheme": OUTERMOST_SAYS,
    "cookies_twice": COMMA_BETWEEN_COOKIES,
    "length_and_chunks": CHUNKS_WIN,
}

SERVERS = (
    Server("Penstock", lambda running: running.penstock),
    Server("Gunicorn", gunicorn, GUNICORN_CELLS),
    Server("uWSGI", uwsgi, UWSGI_CELLS),
    Server("Apache with mod_wsgi", mod_wsgi, MOD_WSGI_CELLS),
    Server("nginx, TCP", behind_nginx, NGINX_CELLS),
    Server("nginx, unix socket", behind_nginx_by_socket, NGINX_CELLS),
    Server("Apache as proxy", behind_apache, APACHE_PROXY_CELLS),
    Server("HAProxy, PROXY 1", behind_haproxy(1)),
    Server("HAProxy, PROXY 2", behind_haproxy(2)),
)
