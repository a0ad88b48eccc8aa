"""PEP 3333, "Input and Error Streams": wsgi.input does what io.BytesIO does over the same bytes, wherever they are."""

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "apps"))
from inputs import results_of

APP = "inputs"
OPTIONS = {"body_memory": 1000}

TEXT = b"first\nsecond\n\n" + b"x" * 40 + b"\nlast"
# Larger than body_memory, and lines longer than one look-ahead.
LARGE = TEXT + b"\n" + b"y" * 20_000 + b"\n" + TEXT
# More than one receive brings, so the rest goes where large bodies are.
LARGEST = LARGE * 20
BODIES = {
    "in memory": TEXT,
    "in a file": LARGE,
    "in the kernel": LARGEST,
    "empty": b"",
    "one newline": b"\n",
}
CALLS = [
    "read",
    "read,-1",
    "read,None",
    "read,0;read",
    "read,7;read,7;read,7;read",
    "read,1000000",
    "readline;readline;readline;readline;readline",
    "readline,3;readline,3;readline,100;readline",
    "readline,0;readline,-1;readline,None",
    "readlines",
    "readlines,1;readlines,20;readlines",
    "readlines,0;read",
    "readlines,None",
    "readlines,-1",
    "rest",
    "read,3;readline;readlines,1;rest",
]
AT_THE_END = ";read;read,5;readline;readline,2;readlines;rest;read"


def asked(engine, calls, body, chunked=False):
    if not chunked:
        return engine.get(f"/replay?{calls}", "Content-Length: 0" if not body else "X: y", method="POST", body=body)
    with engine.connect() as client:
        client.send_request(f"/replay?{calls}", "Transfer-Encoding: chunked", method="POST")
        for start in range(0, len(body), 777):
            piece = body[start : start + 777]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.send(b"0\r\n\r\n")
        return client.response()


@pytest.mark.parametrize("calls", CALLS)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_each_way_of_reading_gives_what_a_file_would_and_nothing_at_the_end(engine, body, chunked, calls):
    calls += AT_THE_END
    assert asked(engine, calls, body, chunked).body.decode() == repr(results_of(io.BytesIO(body), calls))


@pytest.mark.parametrize("calls", CALLS)
def test_a_request_without_a_body_has_an_empty_input(engine, calls):
    assert engine.get(f"/replay?{calls}").body.decode() == repr(results_of(io.BytesIO(), calls))


numbers = st.sampled_from(["", ",0", ",1", ",7", ",-1", ",None", ",40", ",8192", ",30000"])
calls = st.lists(st.tuples(st.sampled_from(["read", "readline", "readlines"]), numbers).map("".join) | st.just("rest"))
pieces = st.lists(st.sampled_from([b"\n", b"a", b"bcd\n", b"e" * 900, b"f" * 8191, b"\r\n"]), max_size=12)


@settings(max_examples=150, deadline=None)
@given(calls=calls.filter(bool), body=pieces.map(b"".join))
def test_any_sequence_of_calls_gives_what_a_file_would(shared_engine, calls, body):
    asked_for = ";".join(calls)
    assert asked(shared_engine, asked_for, body).body.decode() == repr(results_of(io.BytesIO(body), asked_for))


def test_a_body_that_the_application_leaves_does_not_become_the_next_request(engine):
    with engine.connect() as client:
        body = b"GET /replay?read HTTP/1.1\r\nHost: x\r\n\r\n" * 50
        assert client.ask("/unread", method="POST", body=body).body == b"unread"
        assert client.ask("/unread").body == b"unread"


def test_a_body_of_many_megabytes_arrives_whole(engine):
    assert engine.get("/length", method="POST", body=b"z" * 30_000_000).body == b"30000000 30000000"


def test_the_application_is_called_before_the_body_is_there_when_bodies_are_streamed(start):
    engine = start("waits", stream_body=True)
    with engine.connect() as client:
        client.send_request("/reads", "Content-Length: 6", method="POST")
        engine.tester.hears("called").release()
        client.send(b"abc")
        engine.tester.hears("abc").release()
        client.send(b"def")
        assert client.response().body == b"def"


def test_a_streamed_body_is_read_as_a_whole_one_is(start):
    engine = start("inputs", stream_body=True, body_memory=1000)
    for body in BODIES.values():
        for chunked in (False, True):
            for way in CALLS:
                expected = repr(results_of(io.BytesIO(body), way + AT_THE_END))
                assert asked(engine, way + AT_THE_END, body, chunked).body.decode() == expected


def test_a_streamed_body_that_is_asked_for_after_the_response_has_begun_puts_no_100_into_it(start):
    engine = start("answers", stream_body=True)
    with engine.connect() as client:
        client.send_request("/asks_late", "Expect: 100-continue", "Content-Length: 3", method="POST")
        assert client.head().status == 200
        assert client.chunk() == b"one "
        client.send(b"two")
        assert client.chunk() == b"two"


def test_a_thread_that_goes_on_reading_a_streamed_body_after_the_answer_makes_nobody_wait(start):
    engine = start("waits", stream_body=True)
    with engine.connect() as client:
        client.send_request("/reads_elsewhere", "Content-Length: 6", method="POST")
        client.send(b"abc")
        held = {word.word: word for word in (engine.tester.next(), engine.tester.next())}
        assert set(held) == {"answers", "abc"}
        held["answers"].release()
        assert client.response().body == b"/reads_elsewhere"
        assert engine.get("/fast").body == b"/fast"
        assert client.rest() == b""
        engine.tester.hears("given up")


def test_what_is_answered_without_the_application_says_that_a_streamed_body_ends_the_connection(start):
    engine = start("waits", stream_body=True, health_path="/health")
    with engine.connect() as client:
        assert client.ask("/health", method="POST", body=b"whole").status == 200
        client.send_request("/health", "Content-Length: 6", method="POST")
        assert client.response()["Connection"] == "close"
        assert client.rest() == b""
