"""Where requests come from: TCP of both versions, unix sockets, several at once, proxies that speak for others."""

import json

import pytest

APP = "echo:application"
V2 = b"\r\n\r\n\0\r\nQUIT\n"


def environ_of(response):
    assert response.status == 200
    return json.loads(response.body)["environ"]


def test_a_unix_socket_serves_and_has_no_remote_address(start, tmp_path):
    engine = start(APP, bind=[str(tmp_path / "socket")])
    environ = environ_of(engine.get("/"))
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", "80")
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("", "")


def test_ipv6_serves(start):
    environ = environ_of(start(APP, bind=[("::1", 0)]).get("/"))
    assert (environ["SERVER_NAME"], environ["REMOTE_ADDR"]) == ("::1", "::1")


def test_a_client_of_ipv4_on_a_socket_of_ipv6_has_its_usual_address(start):
    engine = start(APP, bind=[("::", 0)])
    engine.addresses = [("127.0.0.1", engine.addresses[0][1])]
    assert environ_of(engine.get("/"))["REMOTE_ADDR"] == "127.0.0.1"


def test_several_listeners_serve_at_once_each_with_its_own_name(start, tmp_path):
    engine = start(APP, bind=[("127.0.0.1", 0), ("::1", 0), str(tmp_path / "socket"), ("127.0.0.1", 0)])
    clients = [engine.connect(number) for number in range(4)]
    for client in clients:
        client.send_request("/")
    ports = [environ_of(client.response())["SERVER_PORT"] for client in clients]
    assert ports == [str(engine.addresses[0][1]), str(engine.addresses[1][1]), "80", str(engine.addresses[3][1])]
    for client in clients:
        client.socket.close()


FORWARDED = [
    "X-Forwarded-For: 203.0.113.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.example",
    "X-Forwarded-Port: 443",
    'Forwarded: for="[2001:db8::7]:4711";proto=https;host=other.example',
]


@pytest.mark.parametrize("allowed", [[], ["10.0.0.0/8"], ["unix"]])
def test_an_untrusted_peer_cannot_speak_for_others(start, allowed):
    environ = environ_of(start(APP, forwarded_allow=allowed).get("/", *FORWARDED))
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("127.0.0.1", "http")
    assert environ["HTTP_HOST"] == "example.test"
    assert not [name for name in environ if "FORWARDED" in name]


@pytest.fixture(scope="module")
def trusting(module_start):
    return module_start(APP, forwarded_allow=["127.0.0.1", "10.0.0.0/8"])


def test_a_trusted_peer_names_the_client_the_scheme_and_the_host(trusting):
    environ = environ_of(trusting.get("/", *FORWARDED[:4]))
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("203.0.113.7", "https")
    assert environ["HTTP_HOST"] == "shop.example"


def test_a_trusted_peer_may_say_the_same_in_forwarded(trusting):
    environ = environ_of(trusting.get("/", FORWARDED[-1]))
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("2001:db8::7", "4711")
    assert (environ["wsgi.url_scheme"], environ["HTTP_HOST"]) == ("https", "other.example")


def test_where_both_are_there_a_forwarded_of_the_client_does_not_count(trusting):
    environ = environ_of(trusting.get("/", *FORWARDED))
    assert (environ["REMOTE_ADDR"], environ["HTTP_HOST"]) == ("203.0.113.7", "shop.example")


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("X-Forwarded-For: 198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("X-Forwarded-For: 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("X-Forwarded-For: 198.51.100.1, 203.0.113.7, 10.1.2.3, 10.4.5.6", "203.0.113.7"),
        ("X-Forwarded-For: 10.1.2.3", "10.1.2.3"),
        ("X-Forwarded-For: nonsense", "127.0.0.1"),
        ("X-Forwarded-For: 203.0.113.7, nonsense", "127.0.0.1"),
        ("Forwarded: for=198.51.100.1, for=203.0.113.7", "203.0.113.7"),
        ("Forwarded: for=203.0.113.7, for=10.1.2.3", "203.0.113.7"),
        ("Forwarded: for=unknown", "127.0.0.1"),
        ("Forwarded: for=_hidden", "127.0.0.1"),
        ('Forwarded: for="203.0.113.7', "127.0.0.1"),
    ],
)
def test_a_list_is_believed_from_the_right_as_far_as_proxies_are_trusted(trusting, field, address):
    assert environ_of(trusting.get("/", field))["REMOTE_ADDR"] == address


@pytest.mark.parametrize(
    "field", ["X-Forwarded-Proto: gopher", "X-Forwarded-Host: a b", "X-Forwarded-Host: a/b", "X_Forwarded_Host: a"]
)
def test_a_trusted_peer_cannot_say_nonsense(trusting, field):
    environ = environ_of(trusting.get("/", field))
    assert (environ["wsgi.url_scheme"], environ["HTTP_HOST"]) == ("http", "example.test")


def test_each_request_of_a_trusted_peer_speaks_for_itself(trusting):
    with trusting.connect() as client:
        assert environ_of(client.ask("/", *FORWARDED[:4]))["REMOTE_ADDR"] == "203.0.113.7"
        environ = environ_of(client.ask("/"))
        assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("127.0.0.1", "http")
        assert environ["HTTP_HOST"] == "example.test"


def test_the_peer_of_a_unix_socket_is_trusted_by_name(start, tmp_path):
    engine = start(APP, bind=[str(tmp_path / "socket")], forwarded_allow=["unix"])
    assert environ_of(engine.get("/", *FORWARDED[:2]))["REMOTE_ADDR"] == "203.0.113.7"


@pytest.fixture(scope="module")
def behind_proxy(module_start):
    return module_start(APP, proxy_protocol=True)


def proxied(engine, header: bytes, *fields: str):
    with engine.connect() as client:
        client.send(header)
        client.send_request("/", *fields)
        first = environ_of(client.response())
        # The header counts for the whole connection, and comes once.
        assert environ_of(client.ask("/"))["REMOTE_ADDR"] == first["REMOTE_ADDR"]
        return first


@pytest.mark.parametrize(
    ("header", "address", "port"),
    [
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n", "203.0.113.7", "4711"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n", "2001:db8::7", "4711"),
        (V2 + b"\x21\x11\0\x0c\xcb\0\x71\x07\xc0\0\x02\x01\x12\x67\0\x50", "203.0.113.7", "4711"),
        (V2 + b"\x21\x11\0\x10\xcb\0\x71\x07\xc0\0\x02\x01\x12\x67\0\x50\x04\0\x01x", "203.0.113.7", "4711"),
    ],
    ids=["version 1, IPv4", "version 1, IPv6", "version 2", "version 2 with an extension"],
)
def test_the_proxy_protocol_names_the_client(behind_proxy, header, address, port):
    environ = proxied(behind_proxy, header)
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == (address, port)


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", V2 + b"\x20\0\0\0"], ids=["version 1", "version 2"])
def test_a_proxy_that_speaks_for_itself_keeps_its_own_address(behind_proxy, header):
    assert proxied(behind_proxy, header)["REMOTE_ADDR"] == "127.0.0.1"


def test_the_proxy_protocol_may_come_in_small_pieces(behind_proxy):
    with behind_proxy.connect() as client:
        for byte in b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n":
            client.send(bytes([byte]))
        assert environ_of(client.ask("/"))["REMOTE_ADDR"] == "203.0.113.7"


@pytest.mark.parametrize(
    "header",
    [b"", b"PROXY TCP4 nonsense 192.0.2.1 4711 80\r\n", b"PROXY TCP4 203.0.113.7\r\n", V2 + b"\x31\x11\0\0", b"PROXX"],
    ids=["none", "no address", "too short", "version 3", "other words"],
)
def test_without_a_good_proxy_header_nothing_is_served(behind_proxy, header):
    with behind_proxy.connect() as client:
        client.send(header)
        client.send_request("/")
        assert client.response().status == 400
        assert client.rest() == b""


def test_a_proxy_header_is_refused_where_none_is_expected(trusting):
    with trusting.connect() as client:
        client.send(b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n")
        assert client.response().status == 400


def test_a_client_behind_an_untrusted_address_cannot_speak_for_others(start):
    engine = start(APP, proxy_protocol=True, forwarded_allow=["127.0.0.1"])
    environ = proxied(engine, b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n", *FORWARDED)
    assert (environ["REMOTE_ADDR"], environ["HTTP_HOST"]) == ("203.0.113.7", "example.test")
