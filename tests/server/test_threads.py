"""How requests meet threads: views that wait do not keep others waiting, the worker is never deaf. Barriers, no clock:
while the views of a test are held by it, the others must be answered.
"""

import pytest

APP = "waits"
BODY = b"body { color: red }\n"


@pytest.fixture
def static(tmp_path):
    """A mount with one file."""
    (tmp_path / "a.css").write_bytes(BODY)
    return [
        {"prefix": "/static/", "roots": [str(tmp_path)], "max_age": 0, "immutable": "never", "fall_through": False}
    ]


def hold(engine, count: int, path: str = "/held") -> tuple[list, list]:
    """So many clients whose requests are being held in the application, and what releases them."""
    clients, held = [], []
    for _ in range(count):
        clients.append(engine.connect())
        clients[-1].send_request(path)
        held.append(engine.tester.hears(path))
    return clients, held


def block(engine, threads: int) -> tuple[list, list]:
    """The same on every thread: with routes of their own, as no route that waits gets the last thread."""
    blocked = [hold(engine, 1, f"/held/{letter}") for letter in "abcdefgh"[:threads]]
    return [clients[0] for clients, _ in blocked], [held[0] for _, held in blocked]


def release(clients: list, held: list) -> None:
    """Lets them go; each client must get the answer to what it asked for."""
    for one in held:
        one.release()
    for client, one in zip(clients, held, strict=True):
        assert client.response().body == one.word.encode()
        client.socket.close()


def teach(engine, path: str = "/held") -> None:
    """Has a route called often enough that the engine knows it as one that waits."""
    for _ in range(8):
        client = engine.connect()
        client.send_request(path)
        held = engine.tester.hears(path)
        # Answers to others take some milliseconds: long enough to count as a wait.
        for _ in range(50):
            engine.get("/fast")
        release([client], [held])


def assert_answers(engine, count: int = 50) -> None:
    """New connections and an old one get answers."""
    with engine.connect() as client:
        for number in range(count):
            assert client.ask(f"/fast/{number}").body == f"/fast/{number}".encode()
            assert engine.get(f"/fast/{number}").body == f"/fast/{number}".encode()


def assert_answers_beside_twice_as_many_as_threads(engine) -> None:
    """Sixteen wait: the last of eight threads is kept for the short ones, and the others queue for the seven."""
    clients = [engine.connect() for _ in range(16)]
    for client in clients:
        client.send_request("/held")
    held = [engine.tester.hears("/held") for _ in range(7)]
    assert_answers(engine)
    assert engine.tester.unheard() == []
    for one in held:
        one.release()
    for _ in range(9):
        engine.tester.hears("/held").release()
    for client in clients:
        assert client.response().body == b"/held"
        client.socket.close()


def test_fast_views_are_answered_while_four_of_eight_threads_wait(start):
    engine = start(APP, threads=8)
    clients, held = hold(engine, 4)
    assert_answers(engine)
    release(clients, held)


def test_the_first_call_of_an_unknown_route_that_waits_is_taken_over(start):
    engine = start(APP, threads=2)
    clients, held = hold(engine, 1)
    assert_answers(engine)
    release(clients, held)


def test_fast_views_are_answered_while_all_other_threads_wait_in_routes_that_nobody_knew(start):
    engine = start(APP, threads=8)
    clients, held = hold(engine, 7)
    assert_answers(engine)
    release(clients, held)


def test_fast_views_are_answered_while_twice_as_many_wait_as_there_are_threads(start):
    engine = start(APP, threads=8)
    teach(engine)
    assert_answers_beside_twice_as_many_as_threads(engine)


def test_a_burst_on_a_route_that_nobody_knew_leaves_a_thread_for_the_short_ones(start):
    assert_answers_beside_twice_as_many_as_threads(start(APP, threads=8))


def test_waiting_views_that_queued_are_begun_in_the_order_in_which_they_came(start):
    engine = start(APP, threads=2)
    teach(engine, "/held/0")
    clients, held = hold(engine, 1, "/held/0")
    for number in range(1, 6):
        clients.append(engine.connect())
        clients[-1].send_request(f"/held/{number}")
        # An answer shows that what was sent before it has been read.
        assert engine.get("/fast").status == 200
    held[0].release()
    for number in range(1, 6):
        engine.tester.hears(f"/held/{number}").release()
    for number, client in enumerate(clients):
        assert client.response().body == f"/held/{number}".encode()
        client.socket.close()


def test_a_connection_that_waits_does_not_keep_its_neighbours_waiting_for_their_batch(start):
    engine = start(APP, threads=2)
    with engine.connect() as fast, engine.connect() as slow:
        # Both are read in one poll or in two; either way the fast one is answered while the slow one is held.
        fast.send_request("/fast")
        slow.send_request("/held")
        held = engine.tester.hears("/held")
        assert fast.response().body == b"/fast"
        held.release()
        assert slow.response().body == b"/held"


def test_answers_of_one_connection_keep_their_order_whoever_calls_the_application(start):
    engine = start(APP, threads=4)
    with engine.connect() as client:
        for number in range(100):
            client.send_request(f"/{'held' if number % 10 == 3 else 'fast'}/{number}")
        for number in range(100):
            if number % 10 == 3:
                held = engine.tester.hears(f"/held/{number}")
                assert_answers(engine, 1)
                held.release()
            assert client.response().body.rpartition(b"/")[2] == str(number).encode()


def test_a_view_that_computes_does_not_keep_others_waiting(start):
    engine = start(APP, threads=2)
    with engine.connect() as client:
        client.send_request("/computes")
        engine.tester.hears("computes")
        assert_answers(engine, 5)
        # It ends only when this is answered.
        assert engine.get("/enough").body == b"enough"
        assert client.response().body == b"computed"


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_with_every_thread_blocked_static_files_are_answered(start, static, threads):
    engine = start(APP, threads=threads, static=static)
    clients, held = block(engine, threads)
    with engine.connect() as client:
        for _ in range(20):
            assert client.ask("/static/a.css").body == BODY
            assert engine.get("/static/a.css").body == BODY
    release(clients, held)
    assert_answers(engine, 5)


@pytest.mark.parametrize("threads", [1, 2])
def test_with_every_thread_blocked_a_full_queue_gets_503_at_once(start, threads):
    engine = start(APP, threads=threads, queue_size=1)
    clients, held = block(engine, threads)
    with engine.connect() as waiting, engine.connect() as refused:
        waiting.send_request("/fast")
        response = refused.ask("/fast")
        assert response.status == 503
        assert "Retry-After" in response
        # The connection stays: the next one may have more luck.
        assert refused.ask("/fast").status == 503
        release(clients, held)
        assert waiting.response().body == b"/fast"
        assert refused.ask("/fast").status == 200


@pytest.mark.parametrize("threads", [1, 2])
def test_with_every_thread_blocked_who_waits_for_too_long_gets_503(start, threads):
    engine = start(APP, threads=threads, queue_timeout=0.3)
    clients, held = block(engine, threads)
    with engine.connect() as waiting:
        assert waiting.ask("/fast").status == 503
        release(clients, held)
        assert waiting.ask("/fast").status == 200


def test_a_waiting_view_that_queues_for_too_long_gets_503(start):
    engine = start(APP, threads=2, queue_timeout=0.3)
    teach(engine)
    clients, held = hold(engine, 1)
    with engine.connect() as waiting:
        assert waiting.ask("/held").status == 503
        assert engine.get("/fast").status == 200
    release(clients, held)


def test_with_every_thread_blocked_deadlines_of_clients_are_kept(start):
    engine = start(APP, threads=1, head_timeout=0.3)
    clients, held = hold(engine, 1)
    with engine.connect() as late:
        late.send(b"GET / HTTP/1.1\r\nHo")
        assert late.response().status == 408
    with engine.connect() as bad:
        bad.send(b"BAD\r\n\r\n")
        assert bad.response().status == 400
    release(clients, held)


def test_while_the_gil_is_held_static_files_are_answered_and_the_queue_gets_503(start, static):
    engine = start(APP, threads=4, static=static, queue_size=1)
    with engine.connect() as gripping, engine.connect() as waiting, engine.connect() as refused:
        gripping.send_request("/grips")
        held = engine.tester.hears("grips")
        for _ in range(20):
            assert engine.get("/static/a.css").body == BODY
        waiting.send_request("/fast")
        assert engine.get("/static/a.css").body == BODY
        assert refused.ask("/fast").status == 503
        held.release()
        assert gripping.response().body == b"gripped"
        assert waiting.response().body == b"/fast"
    assert_answers(engine, 5)


def test_one_thread_serves_one_request_at_a_time_in_order(start):
    engine = start(APP, threads=1)
    clients, held = hold(engine, 1)
    others = [engine.connect() for _ in range(20)]
    for number, client in enumerate(others):
        client.send_request(f"/told/{number}")
    release(clients, held)
    assert sorted(engine.tester.next().word for _ in others) == sorted(f"/told/{number}" for number in range(20))
    for client in others:
        assert client.response().status == 200
        client.socket.close()


def test_threads_are_started_when_they_are_first_needed(start):
    engine = start(APP, threads=8)
    assert_answers(engine, 20)
    idle = engine.stop()
    engine = start(APP, threads=8)
    clients, held = hold(engine, 7)
    assert_answers(engine, 5)
    release(clients, held)
    assert idle["threads_started"] < engine.stop()["threads_started"] <= 8


def test_many_waiting_and_fast_clients_all_get_their_own_answers(start):
    engine = start(APP, threads=8)
    teach(engine, "/held/0/0")
    with engine.connect() as client:
        for rounds in range(20):
            waiting = [engine.connect() for _ in range(12)]
            for number, one in enumerate(waiting):
                one.send_request(f"/held/{rounds}/{number}")
            for number in range(10):
                assert client.ask(f"/fast/{number}").body == f"/fast/{number}".encode()
            for _ in waiting:
                engine.tester.next().release()
            for number, one in enumerate(waiting):
                assert one.response().body == f"/held/{rounds}/{number}".encode()
                one.socket.close()
        assert client.ask("/fast").body == b"/fast"
    assert engine.stop()["queue_length"] == 0
