"""The uwsgi protocol as the running engine speaks it: the same requests as over HTTP, and packets that are wrong.

Which variables become what is tested where it is decided, in crates/penstock-http/tests/uwsgi_packets.rs.
"""

import json
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from uwsgi_packet import asking, packet, raw_packet, sized

HTTP, UWSGI = 0, 1
BIND = [("127.0.0.1", 0), ("uwsgi:127.0.0.1", 0)]
LOCAL = ["127.0.0.1"]
# What a web server says of the connection that it has with the client, and the environ shows; over HTTP it is ours.
OF_THE_CONNECTION = {"REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT"}
# Customary variables that WSGI has no need of; over HTTP they are not there.
ADDED = {"DOCUMENT_ROOT"}


@pytest.fixture(scope="module")
def echo(module_start):
    return module_start("echo:application", bind=BIND, uwsgi_allow=LOCAL, max_body=1 << 26)


@pytest.fixture(scope="module")
def answers(module_start):
    return module_start("answers", bind=BIND, uwsgi_allow=LOCAL, body_memory=1000)


def tell(engine, data: bytes, to: str = "GET"):
    """Sends a packet, reads the response; the connection must be over then."""
    with engine.connect(UWSGI) as client:
        client.send(data)
        response = client.response(to)
        assert client.rest() == b""
    return response


def told(engine, *pairs, **variables) -> dict:
    return json.loads(tell(engine, packet(*pairs, **variables)).body)["environ"]


@pytest.mark.parametrize(
    ("method", "target", "fields", "body"),
    [
        ("GET", "/", {}, b""),
        ("GET", "/a/b?c=d&e=%20f", {"Accept": "text/html", "Cookie": "a=1; b=2", "X-Own-Field": "x"}, b""),
        ("GET", "/%C3%A9/a%20b", {"Accept-Language": "de"}, b""),
        ("GET", "/?", {"Referer": "http://a.test/\xe9"}, b""),
        ("DELETE", "/thing", {"If-Match": '"x"', "Authorization": "Basic YTpi"}, b""),
        ("POST", "/form", {"Content-Type": "application/x-www-form-urlencoded"}, b"a=1&b=2"),
        ("PUT", "/file", {"Content-Type": "application/octet-stream"}, bytes(range(256)) * 40_000),
        ("PROPFIND", "/own-method", {"Depth": "1"}, b""),
    ],
    ids=["root", "query", "encoded", "empty query", "delete", "form", "10 MB", "own method"],
)
def test_the_environ_is_that_of_the_same_request_over_http(echo, method, target, fields, body):
    lines = [f"{name}: {value}" for name, value in fields.items()]
    over_http = json.loads(echo.get(target, *lines, method=method, body=body).body)
    variables = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fields.items()}
    # nginx passes these on as fields, too.
    variables["CONTENT_TYPE"] = fields.get("Content-Type", "")
    if body:
        variables |= {"CONTENT_LENGTH": str(len(body)), "HTTP_CONTENT_LENGTH": str(len(body))}
    path, _, query = target.partition("?")
    decoded = path.replace("%C3%A9", "\xc3\xa9").replace("%20", " ")
    variables |= {"REQUEST_METHOD": method, "REQUEST_URI": target, "PATH_INFO": decoded, "QUERY_STRING": query}
    over_uwsgi = json.loads(tell(echo, packet(**variables) + body).body)
    assert over_uwsgi["body"] == over_http["body"]
    mine, theirs = over_uwsgi["environ"], over_http["environ"]
    assert mine.keys() - theirs.keys() == ADDED
    assert theirs.keys() - mine.keys() == set()
    # Objects of each request's own are shown with their addresses, and a queue may be longer.
    own = {"wsgi.input", "wsgi.early_hints", "penstock.queue_time"}
    assert {name for name in theirs.keys() - own if mine[name] != theirs[name]} <= OF_THE_CONNECTION


def test_the_web_server_says_who_the_client_is_and_what_it_has_connected_to(echo):
    environ = told(echo, HTTPS="on", SERVER_PORT="443", SERVER_PROTOCOL="HTTP/2.0", REMOTE_USER="ada")
    assert environ["REMOTE_ADDR"] == "203.0.113.7"
    assert environ["REMOTE_PORT"] == "4711"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("shop.example", "443")
    assert environ["SERVER_PROTOCOL"] == "HTTP/2.0"
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["REMOTE_USER"] == "ada"


def test_what_clients_forge_is_dropped_as_over_http(echo):
    forged = {"HTTP_X_FORWARDED_FOR": "198.51.100.1", "HTTP_X_FORWARDED_PROTO": "https", "HTTP_FORWARDED": "for=x"}
    environ = told(echo, **forged)
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("203.0.113.7", "http")
    assert not forged.keys() & environ.keys()


def test_a_client_that_is_a_trusted_proxy_speaks_for_others(start):
    engine = start("echo:application", bind=BIND, uwsgi_allow=LOCAL, forwarded_allow=["203.0.113.7"])
    forwarded = {"HTTP_X_FORWARDED_FOR": "198.51.100.1", "HTTP_X_FORWARDED_PROTO": "https"}
    environ = told(engine, **forwarded)
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("198.51.100.1", "https")


def test_a_client_without_an_address_speaks_for_nobody(start):
    engine = start("echo:application", bind=BIND, uwsgi_allow=LOCAL, forwarded_allow=["127.0.0.1", "unix"])
    environ = told(engine, REMOTE_ADDR=None, HTTP_X_FORWARDED_FOR="198.51.100.1")
    assert environ["REMOTE_ADDR"] == ""
    assert told(engine, REMOTE_ADDR="unix:", HTTP_X_FORWARDED_FOR="198.51.100.1")["REMOTE_ADDR"] == "198.51.100.1"


def test_a_site_below_a_path_gets_script_name(echo):
    below = told(echo, SCRIPT_NAME="/shop", PATH_INFO="/cart", REQUEST_URI="/shop/cart?x", QUERY_STRING="x")
    assert (below["SCRIPT_NAME"], below["PATH_INFO"], below["REQUEST_URI"]) == ("/shop", "/cart", "/shop/cart?x")
    taken_off = told(echo, SCRIPT_NAME="/shop", PATH_INFO="/shop/cart", modifier1=30)
    assert (taken_off["SCRIPT_NAME"], taken_off["PATH_INFO"]) == ("/shop", "/cart")


def test_no_variable_can_pose_as_one_of_ours(echo):
    posing = ("wsgi.url_scheme", "wsgi.input", "penstock.serve_file", "SERVER_SOFTWARE")
    environ = told(echo, *((name, "posing") for name in posing))
    assert "posing" not in environ.values()


def test_head_and_an_empty_answer_have_no_body(answers):
    response = tell(answers, asking("/one", REQUEST_METHOD="HEAD"), to="HEAD")
    assert (response.status, response["Content-Length"]) == (200, "5")
    assert tell(answers, asking("/echo_status?304+Not+Modified")).body == b""


def test_a_body_of_unknown_length_ends_with_the_connection_and_has_no_chunks(answers):
    response = tell(answers, asking("/generated"))
    assert "Transfer-Encoding" not in response
    assert response.body == b"one two"


def test_a_piece_leaves_when_it_is_made(answers):
    with answers.connect(UWSGI) as client:
        client.send(asking("/held_pieces"))
        held = answers.tester.hears("one has been made")
        client.head()
        assert client.take(4) == b"one "
        held.release()
        assert client.rest() == b"two"


def test_early_hints_are_kept_back(answers):
    """Web servers take a 103 from uwsgi for the answer."""
    assert tell(answers, asking("/two_hints")).body == b"hello"


def test_a_client_that_waits_for_100_continue_has_had_it_from_its_web_server(echo):
    body = b"x" * 1000
    data = packet(REQUEST_METHOD="POST", CONTENT_LENGTH="1000", HTTP_EXPECT="100-continue")
    with echo.connect(UWSGI) as client:
        client.send(data)
        client.send(body)
        assert client.response().status == 200


def test_one_connection_has_one_request(echo):
    response = tell(echo, packet(HTTP_CONNECTION="keep-alive") + packet())
    assert response.status == 200


def test_a_body_can_be_read_while_it_comes(start):
    engine = start("echo:application", bind=BIND, uwsgi_allow=LOCAL, stream_body=True)
    with engine.connect(UWSGI) as client:
        client.send(packet(REQUEST_METHOD="POST", CONTENT_LENGTH="7") + b"the ")
        client.send(b"end")
        assert json.loads(client.response().body)["body"] == "the end"
        assert client.rest() == b""


def test_a_stop_does_not_wait_for_a_web_server_that_says_nothing(start):
    engine = start("echo:application", bind=BIND, uwsgi_allow=LOCAL)
    with engine.connect(UWSGI) as idle:
        assert tell(engine, packet()).status == 200
        engine.begin_stop()
        assert idle.rest() == b""
        engine.wait_for_clean_end()


def mount_of(directory) -> dict:
    common = {"fall_through": False, "max_age": 60, "immutable": "never"}
    return {"prefix": "/static/", "roots": [str(directory)], **common}


def test_static_files_are_chosen_by_path_info(start, tmp_path):
    (tmp_path / "a b.txt").write_text("the file")
    engine = start("echo:application", bind=BIND, uwsgi_allow=LOCAL, static=[mount_of(tmp_path)])
    response = tell(engine, packet(PATH_INFO="/static/a b.txt", REQUEST_URI="/elsewhere"))
    assert response.body == b"the file"
    again = tell(engine, packet(PATH_INFO="/static/a b.txt", HTTP_IF_NONE_MATCH=response["ETag"]))
    assert again.status == 304
    part = tell(engine, packet(PATH_INFO="/static/a b.txt", HTTP_RANGE="bytes=4-7"))
    assert (part.status, part.body) == (206, b"file")
    shown = told(engine, PATH_INFO="/page", REQUEST_URI="/static/a%20b.txt")
    assert shown["PATH_INFO"] == "/page"


def test_a_guarded_file_stays_guarded_whatever_request_uri_says(start, tmp_path):
    (tmp_path / "private.txt").write_text("private")
    engine = start(
        "guards:application",
        bind=BIND,
        uwsgi_allow=LOCAL,
        static=[mount_of(tmp_path)],
        guarded=["/static/private.txt"],
    )
    for uri in ("/", "/static/open.txt", "/static/private.txt?please"):
        response = tell(engine, packet(PATH_INFO="/static/private.txt", REQUEST_URI=uri))
        assert response.body == b"the application, with a file to give"
    given = tell(engine, packet(PATH_INFO="/static/private.txt", REQUEST_URI="/", QUERY_STRING="please"))
    assert given.body == b"private"


def test_a_rule_for_the_path_that_the_client_sees_guards_files_too(start, tmp_path):
    (tmp_path / "a.txt").write_text("a file")
    static = [mount_of(tmp_path)]
    engine = start("guards:application", bind=BIND, uwsgi_allow=LOCAL, static=static, guarded=["/shop/static"])
    path = "/static/a.txt"
    assert b"with a file to give" in tell(engine, packet(SCRIPT_NAME="/shop", PATH_INFO=path)).body
    assert tell(engine, packet(SCRIPT_NAME="/other", PATH_INFO=path)).body == b"a file"


@pytest.mark.parametrize("script_name", ["", "/shop", "/static", "/static/private"])
def test_a_guard_holds_for_a_site_below_any_path(start, tmp_path, script_name):
    (tmp_path / "private").mkdir()
    (tmp_path / "private/a.txt").write_text("private")
    static = [mount_of(tmp_path)]
    engine = start("guards:closed", bind=BIND, uwsgi_allow=LOCAL, static=static, guarded=["/static/private"])
    path = "/static/private/a.txt"
    for modifier1, path_info in ((0, path), (30, path), (30, script_name + path)):
        refused = tell(engine, packet(modifier1=modifier1, SCRIPT_NAME=script_name, PATH_INFO=path_info))
        assert refused.status == 403


def test_a_response_that_breaks_off_ends_with_a_reset(start):
    engine = start("mistakes", bind=BIND, uwsgi_allow=LOCAL)
    with engine.connect(UWSGI) as client:
        client.send(asking("/text_behind_the_head"))
        assert client.head().status == 200
        assert client.take(3) == b"one"
        with pytest.raises(ConnectionResetError):
            client.receive()
    assert "made of bytes, not str" in engine.logged()


def test_the_access_log_has_what_the_client_asked_for(start, tmp_path):
    log = tmp_path / "access.log"
    engine = start("answers", bind=BIND, uwsgi_allow=LOCAL, access_log=str(log))
    tell(engine, packet(PATH_INFO="/one", REQUEST_URI="/shop/one?x=%20", HTTP_USER_AGENT="browser/1"))
    engine.stop()
    [line] = log.read_text().splitlines()
    assert line.startswith("203.0.113.7 ")
    assert '"GET /shop/one?x=%20 HTTP/1.1" 200 5' in line
    assert "browser/1" in line


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"\x05\0\0\0", 400),
        (b"\0\0\0\1", 400),
        (raw_packet(b""), 400),
        (raw_packet(b"\5\0ab"), 400),
        (raw_packet(sized("NAME") + b"\xff\xffvalue"), 400),
        (packet(CONTENT_LENGTH="5x"), 400),
        (packet(("CONTENT_LENGTH", "5"), CONTENT_LENGTH="6"), 400),
        (packet(CONTENT_LENGTH="99999999999999999999"), 400),
        (packet(CONTENT_LENGTH="67108865"), 413),
        (packet(HTTP_TRANSFER_ENCODING="chunked"), 411),
        (packet(HTTP_X_A="one\r\nX-B: two"), 400),
        (packet(("HTTP_X Y", "x")), 400),
        (packet(("HTTP_HOST", "other.test")), 400),
        (packet(HTTP_HOST="a b"), 400),
        (packet(REQUEST_METHOD="GET / HTTP/1.1\r\nX: "), 400),
        (packet(REQUEST_METHOD="CONNECT"), 501),
        (packet(PATH_INFO="no-slash"), 400),
        (packet(REQUEST_URI="/a b"), 400),
        (packet(REMOTE_ADDR="somebody"), 400),
        (packet(QUERY_STRING="x" * 9000), 414),
        (packet(HTTP_COOKIE="x" * 40000), 431),
    ],
)
def test_a_wrong_packet_is_refused_and_the_engine_goes_on(echo, data, status):
    assert tell(echo, data).status == status
    assert tell(echo, packet()).status == 200


def test_a_packet_may_come_in_any_pieces(echo):
    body = b"the body"
    data = packet(REQUEST_METHOD="POST", CONTENT_LENGTH=str(len(body))) + body

    @settings(max_examples=60, deadline=None)
    @given(some.lists(some.integers(1, len(data) - 1), unique=True, max_size=8).map(sorted))
    def in_pieces(cuts):
        with echo.connect(UWSGI) as client:
            for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
                client.send(data[start:end])
            assert json.loads(client.response().body)["body"] == body.decode()

    in_pieces()


def test_a_web_server_that_leaves_in_the_middle_leaves_nothing_behind(echo):
    data = packet(REQUEST_METHOD="POST", CONTENT_LENGTH="100") + b"half"
    for end in (1, 3, 40, len(data)):
        with echo.connect(UWSGI) as client:
            client.send(data[:end])
            client.abort()
    assert tell(echo, packet()).status == 200


def test_a_packet_that_does_not_come_is_given_up(start):
    engine = start("echo:application", bind=BIND, uwsgi_allow=LOCAL, head_timeout=0.2)
    with engine.connect(UWSGI) as client:
        client.send(packet()[:20])
        assert client.response().status == 408


def test_strangers_are_turned_away_and_told_of_once(start):
    engine = start("echo:application", bind=BIND, uwsgi_allow=["192.0.2.1", "unix"])
    for _ in range(2):
        with engine.connect(UWSGI) as client:
            assert client.rest() == b""
    assert engine.get("/").status == 200
    engine.stop()
    assert engine.logged().count("may not speak the uwsgi protocol") == 1


def test_uwsgi_on_an_address_for_http_is_refused(echo):
    with echo.connect(HTTP) as client:
        client.send(packet())
        assert client.response().status == 400


@pytest.fixture
def site(launch, tmp_path):
    tmp_path.joinpath("hello.py").write_text(
        "def application(environ, start_response):\n"
        '    start_response("200 OK", [])\n'
        '    return [environ["REMOTE_ADDR"].encode()]\n'
    )
    return launch


def test_a_site_listens_on_a_unix_socket_for_uwsgi_and_on_tcp_for_http(site, tmp_path):
    server = site("hello", "--bind", "127.0.0.1:0", "--bind", "uwsgi:unix:site.sock", "--workers", "1")
    server.wait_for(rf"address +uwsgi:unix:{tmp_path}/site.sock")
    server.wait_for_worker(1)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "site.sock"))
        client.sendall(packet())
        received = b""
        while piece := client.recv(1 << 16):
            received += piece
    assert received.endswith(b"\r\n\r\n203.0.113.7")
    server.send("TERM")
    assert server.wait_for_end() == 0


def test_an_address_for_uwsgi_that_the_network_can_reach_is_refused_unless_somebody_is_named(site):
    server = site("hello", "--bind", "uwsgi:0.0.0.0:0")
    assert server.wait_for_end() == 3
    assert "can be reached from other machines, and uwsgi_allow names none of them" in server.log
    assert "hint: listen on 127.0.0.1 or a unix socket" in server.log
    named = site("hello", "--bind", "uwsgi:0.0.0.0:0", "--uwsgi-allow", "192.0.2.0/24", "--workers", "1")
    named.wait_for_worker(1)
    named.send("TERM")
    assert named.wait_for_end() == 0
