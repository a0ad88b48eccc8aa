"""A graceful stop: what is in flight is finished and says that it closes, what is idle is closed, to a deadline."""

import signal
import socket

import pytest
from raw_client import Client

APP = "waits"


def test_an_idle_engine_stops_at_once(start):
    stats = start(APP).stop()
    assert stats["requests"] == 0


def test_an_engine_stops_after_work_and_counts_it(start):
    engine = start(APP)
    for _ in range(5):
        assert engine.get("/fast").status == 200
    assert engine.stop()["requests"] == 5


def test_idle_connections_are_closed(start):
    engine = start(APP)
    used, fresh = engine.connect(), engine.connect()
    assert used.ask("/fast").status == 200
    engine.begin_stop()
    assert used.rest() == b""
    assert fresh.rest() == b""
    engine.wait_for_clean_end()


def test_a_request_in_flight_is_finished_and_says_that_the_connection_closes(start):
    engine = start(APP)
    with engine.connect() as client:
        client.send_request("/held")
        held = engine.tester.hears("/held")
        engine.begin_stop_and_see()
        held.release()
        response = client.response()
        assert (response.body, response["Connection"]) == (b"/held", "close")
        assert client.rest() == b""
    engine.wait_for_clean_end()


def test_a_response_that_is_on_its_way_is_finished(start):
    engine = start("answers")
    with engine.connect() as client:
        client.send_request("/held_pieces")
        held = engine.tester.hears("one has been made")
        assert client.head().status == 200
        engine.begin_stop_and_see()
        held.release()
        assert [client.chunk() for _ in range(3)] == [b"one ", b"two", b""]
        # It had been told that the connection stays.
        response = client.ask("/one")
        assert (response.status, response["Connection"]) == (200, "close")
        assert client.rest() == b""
    engine.wait_for_clean_end()


def test_who_connected_while_others_were_held_off_by_their_ttl_is_answered(start):
    engine = start(APP)
    assert engine.get("/holds_off").status == 200
    with Client(tuple(engine.addresses[0]), ttl=255) as client:
        client.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)
        client.send_request("/fast")
        engine.begin_stop()
        response = client.response()
        assert (response.body, response["Connection"]) == (b"/fast", "close")
    engine.wait_for_clean_end()


def test_a_large_response_that_is_read_slowly_is_finished(start):
    engine = start("answers")
    with engine.connect() as client:
        client.send_request("/many_pieces?30,1000000")
        client.head()
        engine.begin_stop_and_see()
        assert sum(map(len, iter(client.chunk, b""))) == 30_000_000
        assert client.rest() == b""
    engine.wait_for_clean_end()


def test_a_request_that_is_half_read_is_answered(start):
    engine = start(APP)
    with engine.connect() as client:
        client.send_request("/fast", "Expect: 100-continue", "Content-Length: 5", method="POST")
        assert client.response().status == 100
        engine.begin_stop_and_see()
        client.send(b"hello")
        response = client.response()
        assert (response.body, response["Connection"]) == (b"/fast", "close")
    engine.wait_for_clean_end()


def test_a_request_that_waits_for_a_thread_is_answered(start):
    engine = start(APP, threads=1)
    with engine.connect() as first, engine.connect() as second:
        first.send_request("/held")
        held = engine.tester.hears("/held")
        second.send_request("/fast")
        engine.begin_stop_and_see()
        held.release()
        assert first.response().body == b"/held"
        assert second.response().body == b"/fast"
    engine.wait_for_clean_end()


def test_pipelined_requests_behind_the_one_in_flight_are_not_begun(start):
    engine = start(APP)
    with engine.connect() as client:
        client.send_request("/held")
        held = engine.tester.hears("/held")
        client.send_request("/told")
        engine.begin_stop_and_see()
        held.release()
        assert client.response()["Connection"] == "close"
        assert client.rest() == b""
    engine.wait_for_clean_end()
    assert engine.tester.unheard() == []


def test_what_is_not_finished_in_time_is_abandoned(start):
    engine = start(APP, graceful=0.3)
    with engine.connect() as client:
        client.send_request("/held")
        engine.tester.hears("/held")
        engine.begin_stop()
        engine.wait()
        assert engine.process.returncode == 1


def test_a_second_request_to_stop_may_be_more_urgent(start):
    engine = start(APP, graceful=1000)
    with engine.connect() as client:
        client.send_request("/held")
        engine.tester.hears("/held")
        engine.begin_stop_and_see()
        engine.process.send_signal(signal.SIGQUIT)
        engine.wait()
        assert engine.process.returncode == 1


def test_a_client_that_never_finishes_its_request_does_not_hold_a_stop_up(start):
    engine = start(APP, graceful=0.3)
    with engine.connect() as client:
        client.send(b"GET /fast HTTP/1.1\r\nHo")
        engine.begin_stop()
        engine.wait()
        assert engine.process.returncode == 0


def test_nobody_is_accepted_after_the_end(start):
    engine = start(APP)
    engine.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(tuple(engine.addresses[0]))
