"""An application's mistake is that request's 500 and a sentence in the log; nothing is injected, the worker lives."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "apps"))
from mistakes import HOP_BY_HOP, MISTAKES

APP = "mistakes"
LOGGED = {
    "status is bytes": "the status must be a str such as '200 OK', not bytes",
    "status has no reason": "not like '200 OK'",
    "status is no number": "not like '200 OK'",
    "status is too large": "not like '200 OK', with 200 to 599: '600 Much'",
    "status is interim": "not like '200 OK', with 200 to 599: '101 Switching Protocols'",
    "status splits": r"200 OK\r\nX-Injected: yes",
    "status is not latin-1": "not in latin-1",
    "headers are a tuple": "must be a list of (name, value) tuples, not tuple",
    "headers are None": "must be a list of (name, value) tuples, not NoneType",
    "header is a list": "a tuple of two str, not ['X-A', '1']",
    "header has three parts": "a tuple of two str, not ('X-A', '1', '2')",
    "header value is a number": "a tuple of two str, not ('X-A', 1)",
    "header name is bytes": "a tuple of two str, not (b'X-A', '1')",
    "header value is bytes": "a tuple of two str, not ('X-A', b'1')",
    "header value is not latin-1": "not in latin-1",
    "header name is not ASCII": r"not a token: 'X-\xe9'",
    "header name is empty": "not a token: ''",
    "header name has a colon": "not a token: 'X-A:'",
    "header name has a space": "not a token: 'X A'",
    "header name splits": r"not a token: 'X-A: 1\r\nX-Injected'",
    "header value splits": r"control character: 'X-A: 1\r\nX-Injected: yes'",
    "header value has a line feed": r"control character: 'X-A: 1\nX-Injected: yes'",
    "header value has a carriage return": r"control character: 'X-A: 1\rX-Injected: yes'",
    "header value ends in a line": r"control character: 'X-A: 1\r\n'",
    "header value has a NUL": r"control character: 'X-A: 1\x00'",
    "length is no number": "Content-Length is not a number: '1x'",
    "length is negative": "Content-Length is not a number: '-1'",
    "length is larger than the list": "Content-Length is 9, but the body has 1 bytes",
    "length is smaller than the list": "Content-Length is 1, but the body has 2 bytes",
    "lengths differ": "a second Content-Length differs from the first: '2'",
    "body is None": "'NoneType' object is not iterable",
    "body is a number": "'int' object is not iterable",
    "body is text": "the application returned str, which would be sent byte by byte; return a list of bytes",
    "body is bytes": "the application returned bytes, which would be sent byte by byte; return a list of bytes",
    "piece is text": "made of bytes, not str",
    "piece is None": "made of bytes, not NoneType",
    "piece is a bytearray": "made of bytes, not bytearray",
    "later piece is text": "made of bytes, not str",
    "piece of a generator is text": "made of bytes, not str",
}
LOGGED |= {f"hop-by-hop {name}": f"not the application's: '{name}'" for name in HOP_BY_HOP}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_500_with_a_clear_sentence_in_the_log_and_the_connection_stays(engine, mistake):
    with engine.connect() as client:
        response = client.ask(f"/listed?{mistake.replace(' ', '_')}")
        assert (response.status, response.reason, response.body) == (
            500,
            "Internal Server Error",
            b"500 Internal Server Error\n",
        )
        assert "X-Injected" not in response
        assert "X-A" not in response
        assert client.ask("/fine").body == b"fine"
    log = engine.logged()
    assert LOGGED[mistake] in log
    assert f"GET /listed?{mistake.replace(' ', '_')}" in log.splitlines()[0]
    assert "X-Injected: yes" not in log.splitlines()


@pytest.mark.parametrize(
    ("name", "logged"),
    [
        ("raises", "RuntimeError: on purpose"),
        ("raises_with_cause", "KeyError: 'the cause'"),
        ("raises_after_start_response", "RuntimeError: on purpose"),
        ("exits", "SystemExit: 3"),
        ("exits_in_iteration", "SystemExit: 3"),
        ("is_interrupted", "KeyboardInterrupt"),
        ("stops_iteration", "StopIteration"),
        ("recurses", "RecursionError"),
        ("unspeakable", "UnspeakableError"),
        ("no_start_response", "without having called start_response"),
        ("no_start_response_and_no_body", "without having called start_response"),
        ("no_start_response_in_a_generator", "without having called start_response"),
        ("twice", "a second time without exc_info"),
        ("twice_with_none", "a second time without exc_info"),
        ("writes_text", "made of bytes, not str"),
        ("hints_split", "control character"),
        ("hints_are_no_list", "must be a list of (name, value) tuples, not str"),
    ],
)
def test_a_failure_before_the_head_has_left_is_500_and_the_connection_stays(engine, name, logged):
    with engine.connect() as client:
        response = client.ask(f"/{name}")
        assert response.status == 500
        assert "X-Wrong" not in response
        assert client.ask("/fine").body == b"fine"
    log = engine.logged()
    assert f"GET /{name}: the application failed" in log.splitlines()[0]
    assert logged in log


@pytest.mark.parametrize(
    ("name", "received", "logged"),
    [
        ("raised_again", b"3\r\none\r\n", "LookupError: too late"),
        ("too_few_pieces", b"one", "shorter than the Content-Length"),
        ("text_behind_the_head", b"3\r\none\r\n", "made of bytes, not str"),
        ("hints_too_late", b"3\r\none\r\n", "early hints came after the response had begun"),
    ],
)
def test_a_failure_behind_the_head_cuts_the_response_off(engine, name, received, logged):
    with engine.connect() as client:
        client.send_request(f"/{name}")
        client.send_request("/fine")
        assert client.head().status == 200
        assert client.rest() == received
    assert logged in engine.logged()


def test_a_failure_behind_the_head_is_told_by_a_reset_where_nothing_else_can_tell(engine):
    with engine.connect() as client:
        client.send(b"GET /text_behind_the_head HTTP/1.0\r\n\r\n")
        assert client.head().status == 200
        assert client.take(3) == b"one"
        with pytest.raises(ConnectionResetError):
            client.receive()
    assert "made of bytes, not str" in engine.logged()


def test_writing_past_the_content_length_raises_and_sends_no_more_than_that(engine):
    with engine.connect() as client:
        client.send_request("/writes_too_much")
        client.head()
        assert client.rest() == b"thr"
    assert "Content-Length" in engine.logged()


def test_the_log_shows_the_line_of_the_application_that_failed(engine):
    engine.get("/raises")
    assert 'raise RuntimeError("on purpose")' in engine.logged()


def test_start_response_and_write_of_an_answered_request_do_nothing(engine):
    with engine.connect() as client:
        assert [client.ask("/keeps_start_response").body for _ in range(3)] == [b"kept"] * 3
    lines = engine.logged().splitlines()
    assert len(lines) == 2 + 4
    assert set(lines) == {"this request has been answered already"}
