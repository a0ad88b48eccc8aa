"""A site behind the web servers that speak uwsgi to it answers as it does without them."""

import hashlib
import http.client
import json
import socket
import struct
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uwsgi_fronts
from foreign_server import PATIENCE, SCRIPTS, free_port, running
from uwsgi_fronts import MOUNTED

# What each front passes on in the place of the client's own: Debian's uwsgi_params takes the port from Host away.
HOSTS = {"nginx": "127.0.0.1", "apache": "127.0.0.1:{port}"}
APPLICATION = """
import hashlib
import json


def application(environ, start_response):
    answer = globals().get(environ["PATH_INFO"].strip("/").rpartition("/")[2] or "shown", missing)
    return answer(environ, start_response)


def shown(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json"), ("ETag", '"one"')])
    return [json.dumps({name: value for name, value in environ.items() if isinstance(value, str)}).encode()]


def missing(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"there is no such page"]


def digest(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()]


def unchanged(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"one"')])
    return []


def stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (b"%08d\\n" % number for number in range(100_000))


running = 0


def endless(environ, start_response):
    global running
    running += 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        while True:
            yield b"x" * 100_000
    finally:
        running -= 1


def count(environ, start_response):
    start_response("200 OK", [])
    return [str(running).encode()]


def cookies(environ, start_response):
    start_response("200 OK", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Long", "x" * 6000)])
    return [environ["HTTP_COOKIE"].encode()]


def fails(environ, start_response):
    raise ValueError("on purpose")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site that uwsgi is spoken to, on TCP and on a unix socket: its addresses."""
    directory = tmp_path_factory.mktemp("site")
    (directory / "shop.py").write_text(APPLICATION)
    (directory / "static").mkdir()
    (directory / "static/site.css").write_text("body { color: red }\n" * 1000)
    (directory / "static/a b.txt").write_text("with a space")
    place, port = f"unix:{directory}/site.sock", free_port()
    command = [
        *(SCRIPTS / "penstock", "serve", "shop", "--workers", "1", f"--static=/static/={directory}/static"),
        *("--bind", f"uwsgi:{place}", "--bind", f"uwsgi:127.0.0.1:{port}", "--bind", "127.0.0.1:0"),
    ]
    with running(command, directory, r"address +(http://127\.0\.0\.1:\d+)") as ready:
        yield {"nginx": place, "apache": f"127.0.0.1:{port}", "directly": ready[1]}


@pytest.fixture(scope="module", params=["nginx", "apache"])
def front(request, site):
    with getattr(uwsgi_fronts, request.param)(site[request.param]) as url:
        yield request.param, url


def ask(url: str, path: str, method: str = "GET", body=None, **fields: str):
    """The response and its body, over a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
    with ExitStack() as stack:
        stack.callback(connection.close)
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response, response.read()


def environ_of(url: str, path: str, **fields: str) -> dict[str, str]:
    response, body = ask(url, path, **fields)
    assert response.status == 200
    return json.loads(body)


def test_the_application_sees_what_it_sees_without_the_front(front, site):
    name, url = front
    fields = {"Accept": "text/html", "X_Own": "1", "Cookie": "a=1; b=2", "User_Agent": "browser"}
    mine = environ_of(url, "/a%20b/%C3%A9/shown?c=%20d&e", **fields)
    theirs = environ_of(site["directly"], "/a%20b/%C3%A9/shown?c=%20d&e", **fields)
    differ = {key for key in theirs.keys() | mine.keys() if mine.get(key) != theirs.get(key)}
    served_at = {"REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "HTTP_HOST"}
    assert {key for key in differ if key in theirs} <= served_at
    assert mine["HTTP_HOST"] == HOSTS[name].format(port=urlsplit(url).port)
    assert mine["REMOTE_ADDR"] == "127.0.0.1"
    assert mine["SERVER_SOFTWARE"].startswith("penstock/")
    assert not any("CONTENT_LENGTH" in key or "TRANSFER" in key for key in mine)


def test_a_form_arrives(front):
    _, url = front
    response, body = ask(url, "/digest", "POST", b"a=1&b=2", Content_Type="application/x-www-form-urlencoded")
    assert (response.status, body.split()[0]) == (200, b"7")


@pytest.mark.parametrize("path", ["/digest", "/unbuffered/digest"])
def test_an_upload_of_20_megabytes_arrives(front, path):
    _, url = front
    upload = bytes(range(251)) * 80_000
    response, body = ask(url, path, "POST", upload)
    assert response.status == 200
    assert body.decode() == f"{len(upload)} {hashlib.sha256(upload).hexdigest()}"


def test_an_upload_in_chunks_arrives_whole_or_is_refused(front):
    name, url = front
    response, body = ask(url, "/digest", "POST", iter([b"one", b"two"]))
    if name == "nginx":
        assert body.decode() == f"6 {hashlib.sha256(b'onetwo').hexdigest()}"
    else:
        # Apache does not pass chunks on over uwsgi, and says so by itself.
        assert response.status == 411


def test_static_files_come_with_ranges_and_304(front):
    _, url = front
    response, body = ask(url, "/static/site.css")
    assert (response.status, len(body)) == (200, 20_000)
    again, nothing = ask(url, "/static/site.css", If_None_Match=response.headers["ETag"])
    assert (again.status, nothing) == (304, b"")
    part, piece = ask(url, "/static/site.css", Range="bytes=0-3")
    assert (part.status, piece) == (206, b"body")
    assert ask(url, "/static/a%20b.txt")[1] == b"with a space"
    assert ask(url, "/static/../shop.py")[0].status in (400, 404)
    assert ask(url, "/static/missing.css")[0].status == 404


@pytest.mark.parametrize("path", ["/shown", "/static/site.css", "/stream"])
def test_head_has_the_fields_and_no_body(front, path):
    _, url = front
    response, body = ask(url, path, "HEAD")
    assert (response.status, body) == (200, b"")


def test_304_of_the_application_has_no_body(front):
    _, url = front
    response, body = ask(url, "/unchanged", If_None_Match='"one"')
    assert (response.status, body) == (304, b"")


@pytest.mark.parametrize("path", ["/stream", "/unbuffered/stream"])
def test_a_stream_arrives_whole(front, path):
    _, url = front
    response, body = ask(url, path)
    assert response.status == 200
    assert body == b"".join(b"%08d\n" % number for number in range(100_000))


def test_pages_that_are_missing_or_fail_keep_their_status(front):
    _, url = front
    response, body = ask(url, "/nowhere")
    assert (response.status, body) == (404, b"there is no such page")
    assert ask(url, "/fails")[0].status == 500


def test_a_refusal_reaches_the_client(front):
    _, url = front
    response, _ = ask(url, "/shown?" + "x" * 8500)
    assert response.status == 414


def test_large_fields_pass_in_both_directions(front):
    _, url = front
    cookie = "c=" + "y" * 7000
    response, body = ask(url, "/cookies", Cookie=cookie)
    assert body.decode() == cookie
    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert len(response.headers["X-Long"]) == 6000


def test_a_site_below_a_path_knows_its_prefix(front):
    _, url = front
    environ = environ_of(url, f"{MOUNTED}/a/shown?x=1")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (MOUNTED, "/a/shown")
    assert environ["REQUEST_URI"] == f"{MOUNTED}/a/shown?x=1"
    assert len(ask(url, f"{MOUNTED}/static/site.css")[1]) == 20_000


def test_a_path_that_the_front_has_rewritten_is_the_one_that_counts(site):
    with uwsgi_fronts.nginx(site["nginx"]) as url:
        environ = environ_of(url, "/rewritten/shown?x")
        assert (environ["PATH_INFO"], environ["REQUEST_URI"]) == ("/shown", "/rewritten/shown?x")
        assert len(ask(url, "/rewritten/static/site.css")[1]) == 20_000


def test_a_client_that_leaves_ends_the_answer(front):
    _, url = front
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        assert client.recv(1000)
        assert ask(url, "/count")[1] == b"1"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    deadline = time.monotonic() + PATIENCE
    while ask(url, "/count")[1] != b"0":
        assert time.monotonic() < deadline, "the answer goes on although nobody reads it"


def test_a_client_cannot_say_who_it_is(front, site):
    _, url = front
    environ = environ_of(url, "/shown", REMOTE_ADDR="198.51.100.1", HTTPS="on", Remote_User="root", Script_Name="/x")
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["wsgi.url_scheme"] == "http"
    assert "REMOTE_USER" not in environ
    assert Path(site["nginx"].removeprefix("unix:")).is_socket()
