"""What clients see of calls that take too long: the engine answers in the application's place, and others go on."""

import json

import pytest

APP = "waits"


def test_a_call_that_is_late_gets_504_and_the_connection_ends_there(start):
    engine = start(APP, threads=2, timeout=0.3, timeout_grace=1000)
    with engine.connect() as late, engine.connect() as other:
        late.send_request("/held")
        held = engine.tester.hears("/held")
        response = late.response()
        assert (response.status, response["Connection"]) == (504, "close")
        assert b"took too long" in response.body
        assert late.rest() == b""
        assert other.ask("/fast").body == b"/fast"
        held.release()
        assert engine.get("/fast").body == b"/fast"


def test_what_a_late_call_answers_in_the_end_goes_nowhere_and_its_thread_serves_again(start):
    engine = start(APP, threads=1, timeout=0.3, timeout_grace=1000)
    with engine.connect() as late:
        late.send_request("/held")
        held = engine.tester.hears("/held")
        assert late.response().status == 504
        held.release()
        assert engine.get("/fast").body == b"/fast"
        assert late.rest() == b""
    assert engine.stop()["timed_out"] == 1


def test_a_response_that_has_begun_is_cut_off_so_that_nobody_takes_it_for_whole(start):
    engine = start("answers", timeout=0.3, timeout_grace=1000)
    with engine.connect() as client:
        client.send_request("/held_pieces")
        held = engine.tester.hears("one has been made")
        assert client.head().status == 200
        # The last chunk would end in this.
        assert not client.rest().endswith(b"0\r\n\r\n")
        held.release()


def test_a_response_whose_end_is_that_of_the_connection_is_cut_off_by_a_reset(start):
    engine = start("answers", timeout=0.3, timeout_grace=1000)
    with engine.connect() as client:
        client.send(b"GET /held_pieces HTTP/1.0\r\n\r\n")
        held = engine.tester.hears("one has been made")
        assert client.head().status == 200
        assert client.take(4) == b"one "
        with pytest.raises(ConnectionResetError):
            client.receive()
        held.release()


def test_a_late_head_request_gets_504_without_a_body(start):
    engine = start(APP, timeout=0.3, timeout_grace=1000)
    with engine.connect() as late:
        late.send_request("/held", method="HEAD")
        held = engine.tester.hears("/held")
        assert late.head().status == 504
        assert late.rest() == b""
        held.release()


def test_a_call_that_asks_for_more_time_gets_it(start):
    engine = start(APP, timeout=0.3, timeout_grace=1000)
    with engine.connect() as patient, engine.connect() as late:
        patient.send_request("/extends")
        held = engine.tester.hears("/extends")
        late.send_request("/held")
        other = engine.tester.hears("/held")
        # The deadline of this one, which began later, has passed.
        assert late.response().status == 504
        other.release()
        held.release()
        assert patient.response().body == b"/extends"


def test_without_a_timeout_nobody_is_late(start):
    engine = start(APP, timeout=0, slow_request_log=0.1)
    with engine.connect() as client:
        client.send_request("/held")
        held = engine.tester.hears("/held")
        for _ in range(200):
            assert engine.get("/fast").status == 200
        held.release()
        assert client.response().body == b"/held"


def test_the_application_knows_how_long_its_request_has_waited(start):
    engine = start("echo:application")
    assert 0 <= json.loads(engine.get("/").body)["environ"]["penstock.queue_time"] < 20
