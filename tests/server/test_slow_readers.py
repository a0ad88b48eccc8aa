"""A client that reads slowly costs no thread: its response waits in memory, then in a file. One thread is enough."""

import pytest

PIECES = 30
SIZE = 1_000_000
TARGET = f"/many_pieces?{PIECES},{SIZE}"
BODY = b"".join(bytes([97 + number % 26]) * SIZE for number in range(PIECES))


def spooled(engine) -> bool:
    return any(name.startswith(str(engine.temp_dir)) for name in engine.open_files())


def test_another_client_is_served_while_a_large_response_is_not_read(start):
    engine = start("answers", threads=1)
    with engine.connect() as client:
        client.send_request(TARGET)
        client.head()
        assert engine.get("/one").body == b"hello"
        body = b"".join(iter(client.chunk, b""))
    assert body == BODY


def test_many_clients_that_do_not_read_cost_no_thread(start):
    engine = start("answers", threads=1)
    clients = [engine.connect() for _ in range(10)]
    for client in clients:
        client.send_request(TARGET)
    assert engine.get("/one").body == b"hello"
    for client in clients:
        assert client.response().body == BODY
        client.socket.close()


def test_a_large_response_waits_in_a_file_without_a_name_until_it_is_read(start):
    engine = start("closes_after_much", threads=1, response_memory=100_000)
    with engine.connect() as client:
        client.send_request("/many")
        engine.tester.hears("closed")
        assert spooled(engine)
        assert list(engine.temp_dir.iterdir()) == []
        assert client.response().body == BODY
        assert client.ask("/few").body == b"few"
        assert not spooled(engine)


def test_what_fits_into_memory_needs_no_file(start):
    engine = start("closes_after_much", threads=1, response_memory=100_000_000)
    with engine.connect() as client:
        client.send_request("/many")
        engine.tester.hears("closed")
        assert not spooled(engine)
        assert client.response().body == BODY


@pytest.mark.parametrize("leave", ["closes", "resets"])
def test_a_client_that_leaves_gives_its_file_back(start, leave):
    engine = start("closes_after_much", threads=1, response_memory=100_000, max_connections=1)
    client = engine.connect()
    client.send_request("/many")
    engine.tester.hears("closed")
    client.socket.close() if leave == "closes" else client.abort()
    # There is room for one connection: it is served when the first is gone.
    assert engine.get("/few").body == b"few"
    assert not spooled(engine)


def test_pipelined_requests_behind_a_large_response_wait_until_it_is_read(start):
    engine = start("answers", threads=1)
    with engine.connect() as client:
        client.send_request(TARGET)
        client.send_request("/one")
        assert engine.get("/one").body == b"hello"
        assert client.response().body == BODY
        assert client.response().body == b"hello"


def test_a_large_static_file_is_not_read_and_others_are_served(start, tmp_path):
    (tmp_path / "large").write_bytes(BODY)
    mount = {"prefix": "/static/", "roots": [str(tmp_path)], "max_age": 0, "immutable": "never", "fall_through": False}
    engine = start("answers", threads=1, static=[mount])
    with engine.connect() as client:
        client.send_request("/static/large")
        client.head()
        assert engine.get("/one").body == b"hello"
        assert engine.get("/static/large").body == BODY
        assert client.take_many(len(BODY)) == BODY


def test_a_response_that_is_far_ahead_of_its_reader_takes_few_descriptors(start):
    engine = start("closes_after_much", threads=1, response_memory=100_000)
    with engine.connect() as client:
        client.send_request("/many")
        engine.tester.hears("closed")
        assert sum(name.startswith(str(engine.temp_dir)) for name in engine.open_files()) == 1
        assert client.response().body == BODY


def test_what_a_reader_takes_is_counted_whoever_has_sent_it(start):
    engine = start("answers", threads=1)
    assert engine.get(TARGET).body == BODY
    assert engine.stop()["bytes_out"] > len(BODY)


def test_each_piece_begins_the_time_anew_although_the_reader_is_behind(start):
    engine = start("answers", threads=2, timeout=3, timeout_grace=1000, head_timeout=1)
    with engine.connect() as client:
        client.send_request("/turns")
        client.head()
        for _ in range(4):
            held = engine.tester.hears("made")
            # A clock of the engine's own: a third of the time passes.
            with engine.connect() as idle:
                idle.send(b"GET")
                assert idle.response().status == 408
            held.release()
        assert sum(len(chunk) for chunk in iter(client.chunk, b"")) == 80_000_000


def test_pipelined_requests_for_large_files_are_answered_in_order_and_others_in_between(start, tmp_path):
    for number in range(10):
        (tmp_path / str(number)).write_bytes(bytes([48 + number]) * 100_000)
    mount = {"prefix": "/static/", "roots": [str(tmp_path)], "max_age": 0, "immutable": "never", "fall_through": False}
    engine = start("answers", threads=1, static=[mount])
    with engine.connect() as client:
        for number in range(100):
            client.send_request(f"/static/{number % 10}")
        assert engine.get("/one").body == b"hello"
        for number in range(100):
            assert client.response().body == bytes([48 + number % 10]) * 100_000
