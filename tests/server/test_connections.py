"""One connection from its first byte to its end: keep-alive, pipelining, half-close, 100-continue, large bodies."""

import pytest

APP = "waits"


def test_http_1_1_stays_open(engine):
    with engine.connect() as client:
        for number in range(3):
            response = client.ask(f"/fast/{number}")
            assert response.body == f"/fast/{number}".encode()
            assert "Connection" not in response


def test_http_1_1_closes_when_the_client_says_so(engine):
    with engine.connect() as client:
        assert client.ask("/fast", "Connection: Close")["Connection"] == "close"
        assert client.rest() == b""


def test_http_1_0_closes(engine):
    with engine.connect() as client:
        client.send(b"GET /fast HTTP/1.0\r\n\r\n")
        assert "keep-alive" not in client.response().all("Connection")
        assert client.rest() == b""


def test_http_1_0_stays_open_when_the_client_asks_for_it(engine):
    with engine.connect() as client:
        for _ in range(3):
            client.send(b"GET /fast HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert client.response()["Connection"] == "keep-alive"


def test_what_follows_a_request_that_closes_is_not_answered(engine):
    with engine.connect() as client:
        client.send_request("/fast", "Connection: close")
        client.send_request("/told")
        assert client.response().status == 200
        assert client.rest() == b""


def test_many_pipelined_requests_are_answered_in_order(engine):
    with engine.connect() as client:
        for number in range(500):
            client.send_request(f"/fast/{number}", method="POST", body=b"x" * (number % 7))
        for number in range(500):
            assert client.response().body == f"/fast/{number}".encode()


def test_pipelined_requests_behind_a_slow_one_wait_for_it(engine):
    with engine.connect() as client:
        client.send_request("/held/first")
        held = engine.tester.hears("/held/first")
        for number in range(50):
            client.send_request(f"/told/{number}")
        # Others are answered meanwhile; had one of the fifty been called, it would be heard now.
        for _ in range(20):
            assert engine.get("/fast").status == 200
        assert engine.tester.unheard() == []
        held.release()
        assert client.response().body == b"/held/first"
        for number in range(50):
            engine.tester.hears(f"/told/{number}")
            assert client.response().body == f"/told/{number}".encode()


def test_a_client_that_half_closes_gets_its_answers(engine):
    with engine.connect() as client:
        for number in range(3):
            client.send_request(f"/fast/{number}")
        client.finish_sending()
        for number in range(3):
            assert client.response().body == f"/fast/{number}".encode()
        assert client.rest() == b""


def test_a_client_that_half_closes_while_its_request_is_answered_gets_the_answer(engine):
    with engine.connect() as client:
        client.send_request("/held")
        held = engine.tester.hears("/held")
        client.finish_sending()
        assert engine.get("/fast").status == 200
        held.release()
        assert client.response().body == b"/held"
        assert client.rest() == b""


def test_requests_and_an_end_that_come_while_another_is_answered_are_not_forgotten(engine):
    with engine.connect() as client:
        client.send_request("/held")
        held = engine.tester.hears("/held")
        client.send_request("/fast/1")
        client.send_request("/fast/2")
        client.finish_sending()
        # An answer to another shows that the loop has seen the end.
        assert engine.get("/fast").status == 200
        held.release()
        for body in (b"/held", b"/fast/1", b"/fast/2"):
            assert client.response().body == body
        assert client.rest() == b""


def test_a_client_that_half_closes_gets_a_large_answer_whole(start):
    engine = start("answers")
    with engine.connect() as client:
        client.send_request("/many_pieces?30,300000")
        client.finish_sending()
        assert len(client.response().body) == 9_000_000
        assert client.rest() == b""


def test_a_request_that_is_cut_off_never_reaches_the_application(engine):
    for part in [
        b"GET /told",
        b"GET /told HTTP/1.1\r\nHost: x\r\n",
        b"POST /told HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcd",
    ]:
        with engine.connect() as client:
            client.send(part)
            client.finish_sending()
            assert client.rest() == b""


def test_head_gets_no_body_and_the_connection_stays(engine):
    with engine.connect() as client:
        assert client.ask("/fast", method="HEAD")["Content-Length"] == "5"
        assert client.ask("/fast").body == b"/fast"


def test_a_client_that_expects_100_gets_it_before_it_sends_the_body(engine):
    with engine.connect() as client:
        client.send_request("/fast", "Expect: 100-continue", "Content-Length: 5", method="POST")
        assert client.response().status == 100
        client.send(b"hello")
        assert client.response().body == b"/fast"


def test_a_client_that_expects_100_and_has_sent_the_body_needs_none(engine):
    with engine.connect() as client:
        client.send_request("/fast", "Expect: 100-continue", method="POST", body=b"hello")
        assert client.response().status == 200


def test_an_empty_line_between_requests_is_skipped(engine):
    with engine.connect() as client:
        client.send(b"\r\n")
        assert client.ask("/fast").status == 200
        client.send(b"\r\n")
        assert client.ask("/fast").status == 200


def test_absolute_form_names_the_host(start):
    engine = start("echo:application")
    response = engine.get("http://other.test:81/a?b")
    assert b'"HTTP_HOST": "other.test:81"' in response.body
    assert b'"PATH_INFO": "/a"' in response.body


def test_a_refused_request_is_answered_and_the_connection_closed(engine):
    with engine.connect() as client:
        client.send_request("/told", "Content-Length: 1", "Content-Length: 2", method="POST")
        client.send_request("/told")
        response = client.response()
        assert (response.status, response["Connection"]) == (400, "close")
        assert client.rest() == b""


def test_a_client_that_goes_on_sending_after_a_refusal_can_still_read_it(engine):
    with engine.connect() as client:
        client.send(b"BAD\r\n" + b"x" * 3_000_000)
        assert client.response().status == 400


@pytest.mark.parametrize("leave", ["closes", "resets"])
def test_a_client_that_leaves_before_its_answer_harms_nobody(engine, leave):
    client = engine.connect()
    client.send_request("/held")
    held = engine.tester.hears("/held")
    client.socket.close() if leave == "closes" else client.abort()
    assert engine.get("/fast").status == 200
    held.release()
    assert engine.get("/fast").status == 200


def test_many_clients_at_once_get_each_their_own_answer(engine):
    clients = [engine.connect() for _ in range(200)]
    for number, client in enumerate(clients):
        client.send_request(f"/fast/{number}")
    for number, client in reversed(list(enumerate(clients))):
        assert client.response().body == f"/fast/{number}".encode()
        client.socket.close()


def test_a_large_body_is_in_a_file_without_a_name_and_nothing_is_left_of_it(start):
    engine = start("waits", body_memory=1000)
    with engine.connect() as client:
        client.send_request("/held", method="POST", body=b"x" * 1001)
        held = engine.tester.hears("/held")
        assert list(engine.temp_dir.iterdir()) == []
        assert any(name.startswith(str(engine.temp_dir)) for name in engine.open_files())
        held.release()
        assert client.response().status == 200
        assert client.ask("/fast").status == 200
    assert not any(name.startswith(str(engine.temp_dir)) for name in engine.open_files())


def test_a_body_that_fits_into_memory_needs_no_file(start):
    engine = start("waits", body_memory=1000)
    with engine.connect() as client:
        client.send_request("/held", method="POST", body=b"x" * 1000)
        held = engine.tester.hears("/held")
        assert not any(name.startswith(str(engine.temp_dir)) for name in engine.open_files())
        held.release()
        assert client.response().status == 200
