"""PEP 3333, from the application to the client: start_response, write(), iterables, lengths, early hints."""

import re

import pytest

APP = "answers"


def test_the_status_fields_and_body_arrive_in_order(engine):
    response = engine.get("/fields")
    assert (response.status, response.reason, response.body) == (200, "OK", b"hello")
    assert response.fields == [
        ("Set-Cookie", "a=1"),
        ("X-Name", "caf\xe9"),
        ("Set-Cookie", "b=2"),
        ("x-empty", ""),
        ("Date", "a date"),
        ("Content-Length", "5"),
    ]


def test_a_response_has_a_date_when_the_application_gives_none(engine):
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", engine.get("/one")["Date"])


@pytest.mark.parametrize("status", ["200 OK", "299 Own words: (1)", "404 ", "599 x"])
def test_any_final_status_is_sent_as_given(engine, status):
    response = engine.get("/echo_status?" + status.replace(" ", "+"))
    assert f"{response.status} {response.reason}" == status


@pytest.mark.parametrize("name", ["instance", "method", "Class"])
def test_any_callable_is_an_application(engine, name):
    assert engine.get(f"/{name}").body == b"hello"


@pytest.mark.parametrize(
    ("name", "body"), [("one", b"hello"), ("pair", b"one two"), ("nothing", b""), ("framework", b"one two")]
)
def test_a_body_that_exists_already_gets_a_content_length(engine, name, body):
    response = engine.get(f"/{name}")
    assert (response["Content-Length"], response.body) == (str(len(body)), body)


@pytest.mark.parametrize("name", ["generated", "generated_with_length"])
def test_pieces_are_sent_one_after_the_other(engine, name):
    assert engine.get(f"/{name}").body == b"one two"


def test_a_body_of_unknown_length_is_chunked_and_the_connection_stays(engine):
    with engine.connect() as client:
        assert client.ask("/generated")["Transfer-Encoding"] == "chunked"
        assert client.ask("/one").body == b"hello"


def test_a_body_of_announced_length_is_not_chunked(engine):
    response = engine.get("/generated_with_length")
    assert "Transfer-Encoding" not in response
    assert response["Content-Length"] == "7"


def test_a_body_of_unknown_length_ends_with_the_connection_for_http_1_0(engine):
    with engine.connect() as client:
        client.send(b"GET /generated HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head = client.head()
        assert not {"Transfer-Encoding", "Content-Length"} & {name for name, _ in head.fields}
        assert client.rest() == b"one two"


def test_the_first_piece_leaves_before_the_second_is_made(engine):
    with engine.connect() as client:
        client.send_request("/held_pieces")
        held = engine.tester.hears("one has been made")
        assert client.head().status == 200
        assert client.chunk() == b"one "
        held.release()
        assert (client.chunk(), client.chunk()) == (b"two", b"")


def test_the_first_piece_of_an_announced_length_leaves_before_the_second_is_made(engine):
    with engine.connect() as client:
        client.send_request("/held_pieces?length")
        held = engine.tester.hears("one has been made")
        client.head()
        assert client.take(4) == b"one "
        held.release()
        assert client.take(3) == b"two"


def test_the_first_piece_leaves_before_the_second_is_made_for_http_1_0(engine):
    with engine.connect() as client:
        client.send(b"GET /held_pieces HTTP/1.0\r\n\r\n")
        held = engine.tester.hears("one has been made")
        client.head()
        assert client.take(4) == b"one "
        held.release()
        assert client.rest() == b"two"


def test_empty_pieces_are_skipped_and_do_not_send_the_head(engine):
    response = engine.get("/empty_first")
    assert (response.status, response.reason, response.body) == (503, "Later", b"sorry")
    assert "X-First" not in response
    assert "X-Second" in response


def test_a_body_of_empty_pieces_is_an_empty_body(engine):
    with engine.connect() as client:
        assert client.ask("/all_empty").body == b""
        assert client.ask("/one").body == b"hello"


def test_a_generator_may_call_start_response_late(engine):
    response = engine.get("/late")
    assert (response.status, response.body) == (201, b"late")


def test_write_sends_and_returns_nothing_and_the_iterable_comes_after_it(engine):
    assert engine.get("/written").body == b"one two [None, None, None]"


def test_what_is_written_leaves_before_the_application_goes_on(engine):
    with engine.connect() as client:
        client.send_request("/written_held")
        held = engine.tester.hears("one has been written")
        client.head()
        assert client.chunk() == b"one "
        held.release()
        assert (client.chunk(), client.chunk()) == (b"two", b"")


def test_write_and_the_iterable_share_one_content_length(engine):
    assert engine.get("/written_with_length").body == b"one two"


def test_exc_info_replaces_status_and_fields_before_the_head_has_left(engine):
    response = engine.get("/replaced")
    assert (response.status, response.reason, response.body) == (500, "Sorry", b"sorry")
    assert "X-First" not in response
    assert (response["X-Second"], response["Content-Length"]) == ("yes", "5")


@pytest.mark.parametrize(("name", "body"), [("first_with_exc_info", b"sorry"), ("none_as_exc_info", b"fine")])
def test_exc_info_may_come_with_the_first_call_and_may_be_none(engine, name, body):
    assert engine.get(f"/{name}").body == body


def test_exc_info_is_raised_again_after_the_head_has_left(engine):
    assert engine.get("/raised_again").body == b"one two"
    engine.tester.hears("the same: True")


def test_no_more_is_sent_than_the_content_length_and_no_more_is_asked_for(engine):
    with engine.connect() as client:
        assert client.ask("/endless").body == b"one two"
        assert client.ask("/one").body == b"hello"
    # "should stop iterating over the response when enough data has been sent": nothing was told before this.
    engine.get("/told")
    engine.tester.hears("told")


def test_early_hints_arrive_before_the_response_is_made(engine):
    with engine.connect() as client:
        client.send_request("/hints")
        held = engine.tester.hears("hinted")
        hints = client.response()
        assert hints.status == 103
        assert hints.fields == [("Link", "</style.css>; rel=preload; as=style"), ("Link", "</a.js>; rel=preload")]
        held.release()
        assert client.response().body == b"hello"


def test_early_hints_may_be_sent_several_times(engine):
    with engine.connect() as client:
        client.send_request("/two_hints")
        assert [client.response()["Link"] for _ in range(2)] == ["</a.css>; rel=preload", "</b.css>; rel=preload"]
        assert client.response().body == b"hello"


def test_http_1_0_gets_no_early_hints(engine):
    with engine.connect() as client:
        client.send(b"GET /two_hints HTTP/1.0\r\n\r\n")
        assert client.response().status == 200


@pytest.mark.parametrize("name", ["one", "pair", "framework", "generated", "generated_with_length", "written"])
def test_head_gets_the_head_of_get_and_no_body(engine, name):
    with engine.connect() as client:
        length = client.ask(f"/{name}").all("Content-Length")
        response = client.ask(f"/{name}", method="HEAD")
        assert response.all("Content-Length") in (length, [])
        assert response.status == 200
        assert client.ask("/one").body == b"hello"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_content_has_no_body_and_the_connection_stays(engine, status):
    with engine.connect() as client:
        response = client.ask(f"/echo_status?{status}+Nothing")
        assert response.status == status
        assert "Transfer-Encoding" not in response
        assert ("Content-Length" in response) <= (status == 304)
        assert client.ask("/one").body == b"hello"


@pytest.mark.parametrize(("count", "size"), [(1, 1), (3, 8192), (40, 8193), (30, 300_000), (5000, 7)])
def test_large_and_many_pieces_arrive_whole(engine, count, size):
    expected = b"".join(bytes([97 + number % 26]) * size for number in range(count))
    assert engine.get(f"/many_pieces?{count},{size}").body == expected
