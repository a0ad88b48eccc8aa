"""Limits of size and time. A deadline's answer is waited for on the socket; nothing here looks at a clock."""

import select

import pytest

SHORT = 0.3
# How long a client that trickles waits between two bytes: several fit into one deadline.
PACE = 0.05


def trickle(client, *pieces: bytes) -> None:
    """Sends piece after piece at a slow pace until the server answers."""
    for piece in pieces:
        if select.select([client.socket], [], [], PACE)[0]:
            return
        client.send(piece)


def refused(client, status: int) -> None:
    response = client.response()
    assert (response.status, response["Connection"]) == (status, "close")
    assert client.rest() == b""


@pytest.fixture
def small(start):
    """An engine with small limits of size; its application tells when it is called."""
    return start("waits", max_request_line=100, max_head=300, max_fields=5, max_body=1000, body_memory=10)


@pytest.mark.parametrize(
    ("target", "fields", "status"),
    [
        ("/told/" + "x" * 100, [], 414),
        ("/told", ["X: " + "x" * 300], 431),
        ("/told", ["A: 1", "B: 2", "C: 3", "D: 4", "E: 5"], 431),
        ("/told", ["Content-Length: 1001"], 413),
        ("/told", ["Content-Length: 1001", "Expect: 100-continue"], 413),
        ("/told", ["Content-Length: 18446744073709551615"], 413),
    ],
)
def test_what_is_larger_than_a_limit_is_refused(small, target, fields, status):
    with small.connect() as client:
        client.send_request(target, *fields, method="POST")
        refused(client, status)


def test_chunks_that_add_up_to_more_than_the_limit_are_refused(small):
    with small.connect() as client:
        client.send_request("/told", "Transfer-Encoding: chunked", method="POST")
        client.send(b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n" + b"x" * 501 + b"\r\n0\r\n\r\n")
        refused(client, 413)


def test_what_is_as_large_as_the_limits_is_served(small):
    with small.connect() as client:
        assert client.ask("/fast", "A: 1", "B: 2", "C: 3", method="POST", body=b"x" * 1000).status == 200


def test_a_head_without_end_is_refused_before_it_is_complete(small):
    with small.connect() as client:
        client.send(b"GET /told HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 300)
        refused(client, 431)


def test_a_head_that_does_not_come_to_its_end_gets_408(start):
    with start("waits", head_timeout=SHORT).connect() as client:
        client.send(b"GET /told HTTP/1.1\r\nHost: x\r\n")
        refused(client, 408)


def test_a_head_that_trickles_gets_408(start):
    with start("waits", head_timeout=SHORT).connect() as client:
        trickle(client, b"GET /told HTTP/1.1\r\n", *[b"X: y\r\n"] * 90)
        refused(client, 408)


def test_a_second_head_that_trickles_gets_408(start):
    with start("waits", head_timeout=SHORT).connect() as client:
        assert client.ask("/fast").status == 200
        trickle(client, b"GET /told HTTP/1.1\r\n", *[b"X: y\r\n"] * 90)
        refused(client, 408)


def test_empty_lines_do_not_move_the_deadline_of_a_head(start):
    with start("waits", head_timeout=SHORT).connect() as client:
        trickle(client, *[b"\r\n"] * 200)
        client.rest()


def test_a_connection_on_which_nothing_comes_is_closed(start):
    with start("waits", head_timeout=SHORT).connect() as client:
        assert client.rest() == b""


def test_a_body_that_does_not_come_to_its_end_gets_408(start):
    with start("waits", body_timeout=SHORT).connect() as client:
        client.send_request("/told", "Content-Length: 5", method="POST")
        client.send(b"abc")
        refused(client, 408)


def test_a_chunked_body_that_does_not_come_to_its_end_gets_408(start):
    with start("waits", body_timeout=SHORT).connect() as client:
        client.send_request("/told", "Transfer-Encoding: chunked", method="POST")
        client.send(b"3\r\nabc\r\n")
        refused(client, 408)


def test_a_chunk_size_that_trickles_gets_408(start):
    with start("waits", body_timeout=SHORT).connect() as client:
        client.send_request("/told", "Transfer-Encoding: chunked", method="POST")
        trickle(client, *[b"0"] * 3, b"1;", *[b"x"] * 200)
        refused(client, 408)


def test_trailers_that_trickle_get_408(start):
    with start("waits", body_timeout=SHORT).connect() as client:
        client.send_request("/told", "Transfer-Encoding: chunked", method="POST")
        trickle(client, b"0\r\n", *[b"X: y\r\n"] * 90)
        refused(client, 408)


def test_a_body_below_the_minimum_rate_gets_408_although_it_never_pauses(start):
    with start("waits", body_timeout=SHORT, min_body_rate=10_000).connect() as client:
        client.send_request("/told", "Content-Length: 100000", method="POST")
        trickle(client, *[b"x"] * 200)
        refused(client, 408)


def test_a_body_that_pauses_less_than_the_deadline_is_served(start):
    with start("waits", body_timeout=10, min_body_rate=1).connect() as client:
        client.send_request("/fast", "Content-Length: 10", method="POST")
        trickle(client, *[b"x"] * 10)
        assert client.response().status == 200


def test_an_idle_connection_is_closed_after_the_keep_alive_timeout(start):
    with start("waits", keep_alive_timeout=SHORT).connect() as client:
        assert client.ask("/fast").status == 200
        assert client.rest() == b""


def test_without_keep_alive_each_response_closes(start):
    with start("waits", keep_alive_timeout=0).connect() as client:
        assert client.ask("/fast")["Connection"] == "close"
        assert client.rest() == b""


def test_a_request_may_take_longer_than_all_deadlines_of_reading(start):
    engine = start("waits", head_timeout=SHORT, body_timeout=SHORT, keep_alive_timeout=SHORT, write_timeout=SHORT)
    with engine.connect() as client, engine.connect() as other:
        client.send_request("/held")
        held = engine.tester.hears("/held")
        # The other connection's end shows that the deadlines of the first have passed as well.
        assert other.ask("/fast").status == 200
        assert other.rest() == b""
        assert engine.connect().rest() == b""
        held.release()
        assert client.response().body == b"/held"


def test_a_client_that_reads_nothing_is_dropped_after_the_write_timeout(start):
    engine = start("answers", write_timeout=SHORT, head_timeout=1000, keep_alive_timeout=1000, max_connections=1)
    with engine.connect() as client:
        client.send_request("/many_pieces?60,1000000")
        client.head()
        # There is room for one connection: the second is served when the first has been dropped.
        assert engine.get("/one").body == b"hello"
        assert len(client.rest()) < 60_000_000


def test_the_deadlines_of_reading_do_not_cut_a_large_response_off(start):
    engine = start("answers", head_timeout=SHORT, body_timeout=SHORT, keep_alive_timeout=SHORT)
    with engine.connect() as client:
        client.send_request("/held_and_large")
        held = engine.tester.hears("held")
        # Each of these is closed by its deadline, so that of the first has passed by then.
        assert engine.connect().rest() == b""
        held.release()
        engine.tester.hears("made")
        assert engine.connect().rest() == b""
        assert len(client.response().body) == 30_000_000


def test_a_client_that_reads_slowly_but_steadily_is_served(start):
    engine = start("answers", write_timeout=SHORT)
    with engine.connect() as client:
        client.send_request("/many_pieces?20,1000000")
        length = 0
        for _ in range(20):
            # Longer than the deadline altogether, shorter between two reads.
            select.select([], [], [], PACE)
            length += len(client.socket.recv(1 << 20))
        assert length + len(read_to_the_end(client)) > 20_000_000


def read_to_the_end(client) -> bytes:
    """The rest of a chunked response."""
    data = b""
    while not data.endswith(b"\r\n0\r\n\r\n"):
        part = client.socket.recv(1 << 20)
        assert part, "the server dropped a client that was reading"
        data += part
    return data


def test_more_connections_than_allowed_wait_for_their_turn(start):
    engine = start("waits", max_connections=2)
    first, second, third = engine.connect(), engine.connect(), engine.connect()
    assert first.ask("/fast").status == 200
    assert second.ask("/fast").status == 200
    third.send_request("/told/third")
    for _ in range(20):
        assert second.ask("/told/second").status == 200
    first.socket.close()
    assert third.response().status == 200
    for _ in range(20):
        engine.tester.hears("/told/second")
    engine.tester.hears("/told/third")
    second.socket.close()
    third.socket.close()
