"""PEP 3333: close() is called exactly once, whatever ended the response. What follows is another request that tells of
itself: a second close() would be heard before it.
"""

import pytest

APP = "closes"


@pytest.fixture
def closed_once(engine):
    """Checks that the next thing that is told is one close(), and nothing else."""

    def check():
        engine.tester.hears("closed")
        assert engine.get("/marker").body == b"marker"
        engine.tester.hears("marker")

    return check


@pytest.mark.parametrize(
    ("name", "body"), [("whole", b"one two"), ("nothing", b""), ("with_length", b"one"), ("without_content", b"")]
)
def test_after_a_complete_response(engine, closed_once, name, body):
    assert engine.get(f"/{name}").body == body
    closed_once()


@pytest.mark.parametrize("name", ["whole", "nothing", "with_length", "without_content", "file"])
def test_after_the_response_to_head(engine, closed_once, name):
    assert engine.get(f"/{name}", method="HEAD").status in (200, 204)
    closed_once()


def test_after_a_file_was_sent(engine, closed_once):
    assert b"def file(" in engine.get("/file").body
    closed_once()


@pytest.mark.parametrize(
    ("name", "logged"),
    [
        ("raises_first", "RuntimeError: on purpose"),
        ("wrong_piece", "made of bytes, not str"),
        ("not_started", "without having called start_response"),
        ("not_iterable", "not iterable"),
        ("iteration_fails_to_begin", "RuntimeError: on purpose"),
    ],
)
def test_after_the_application_failed_before_the_head_left(engine, closed_once, name, logged):
    assert engine.get(f"/{name}").status == 500
    closed_once()
    assert logged in engine.logged()


@pytest.mark.parametrize(
    ("name", "received", "logged"),
    [
        ("raises_later", b"3\r\none\r\n", "RuntimeError: on purpose"),
        ("announces_too_much", b"one", "shorter than the Content-Length"),
    ],
)
def test_after_the_application_failed_behind_the_head(engine, closed_once, name, received, logged):
    with engine.connect() as client:
        client.send_request(f"/{name}")
        assert client.head().status == 200
        # Cut off: the client sees that it is not complete.
        assert client.rest() == received
    closed_once()
    assert logged in engine.logged()


def test_a_close_that_raises_is_logged(engine, closed_once):
    assert engine.get("/close_raises").body == b"one two"
    closed_once()
    assert "on purpose, in close()" in engine.logged()


def test_a_close_that_raises_leaves_a_response_whole_whose_end_is_that_of_the_connection(engine, closed_once):
    with engine.connect() as client:
        client.send(b"GET /close_raises HTTP/1.0\r\n\r\n")
        assert client.head().status == 200
        assert client.rest() == b"one two"
    closed_once()
    assert "on purpose, in close()" in engine.logged()


def test_a_close_that_raises_hides_no_earlier_error(engine, closed_once):
    assert engine.get("/both_raise").status == 500
    closed_once()
    log = engine.logged()
    assert "on purpose, in iteration" in log
    assert "on purpose, in close()" in log


@pytest.mark.parametrize("name", ["until_the_client_leaves", "written_until_the_client_leaves", "generator"])
@pytest.mark.parametrize("leave", ["closes", "resets"])
def test_after_the_client_left_in_the_middle(engine, closed_once, name, leave):
    client = engine.connect()
    client.send_request(f"/{name}")
    held = engine.tester.hears("one has been made")
    client.head()
    assert client.chunk() == b"one"
    client.socket.close() if leave == "closes" else client.abort()
    held.release()
    closed_once()


@pytest.mark.parametrize("leave", ["closes", "resets"])
def test_after_the_client_left_a_stream_that_has_nothing_more_to_say(engine, closed_once, leave):
    client = engine.connect()
    client.send_request("/has_nothing_more_to_say")
    client.head()
    assert client.chunk() == b"one"
    client.socket.close() if leave == "closes" else client.abort()
    closed_once()


def test_a_generator_whose_client_has_left_runs_its_finally(engine):
    client = engine.connect()
    client.send_request("/generator_without_more_to_say")
    client.head()
    assert client.chunk() == b"one"
    client.socket.close()
    engine.tester.hears("closed in its finally")


def test_after_the_client_of_http_1_0_left_in_the_middle(engine, closed_once):
    client = engine.connect()
    client.send(b"GET /until_the_client_leaves HTTP/1.0\r\n\r\n")
    held = engine.tester.hears("one has been made")
    client.abort()
    held.release()
    closed_once()
