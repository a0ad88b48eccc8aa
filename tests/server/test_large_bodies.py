"""Large request bodies that come at once, from several clients, beside others: whole, in order, and in no other's."""

import random
import threading
import time
import zlib

import pytest
from raw_client import PATIENCE

APP = "counts:application"


def body_of(seed, length):
    return random.Random(seed).randbytes(length)


def expected(body):
    return f"{len(body)} {zlib.crc32(body)}".encode()


@pytest.mark.parametrize("length", [1_048_577, 5_000_000, 25_000_000, 30_000_000])
def test_a_large_body_arrives_whole(engine, length):
    with engine.connect() as client:
        body = body_of(length, length)
        assert client.ask("/", method="POST", body=body).body == expected(body)


def test_large_bodies_of_many_clients_arrive_whole(engine):
    bodies = [body_of(seed, 9_000_000) for seed in range(8)]
    answers = {}

    def upload(number):
        with engine.connect() as client:
            for turn in range(3):
                body = bodies[(number + turn) % len(bodies)]
                answers[number, turn] = client.ask("/", method="POST", body=body).body == expected(body)

    threads = [threading.Thread(target=upload, args=[number]) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 24
    assert all(answers.values())


def test_a_request_right_behind_a_large_body_is_read_as_one(engine):
    body = body_of(1, 3_000_000)
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with engine.connect() as client:
        sender = threading.Thread(target=client.send, args=[(head + body) * 3])
        sender.start()
        assert [client.response().body for _ in range(3)] == [expected(body)] * 3
        sender.join()


def test_other_clients_are_served_while_a_large_body_stops_half_way(engine):
    body = body_of(2, 20_000_000)
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with engine.connect() as stalled, engine.connect() as client:
        stalled.send(head + body[:10_000_000])
        # Too long for the memory that the first one has: it waits for a moment, then goes to a file.
        assert client.ask("/", method="POST", body=body).body == expected(body)
        stalled.send(body[10_000_000:])
        assert stalled.response().body == expected(body)


def test_a_large_body_of_many_small_pieces_arrives_whole(start, tmp_path):
    engine = start(APP, bind=[str(tmp_path / "socket")])
    body = body_of(3, 3_000_000)
    with engine.connect() as client:
        client.send(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for begin in range(0, len(body), 700):
            client.send(body[begin : begin + 700])
        assert client.response().body == expected(body)


def test_an_idle_worker_keeps_nothing_for_large_bodies_to_come(start):
    engine = start(APP)
    body = body_of(4, 9_000_000)
    with engine.connect() as client:
        assert client.ask("/", method="POST", body=b"small").body == expected(b"small")
        pipes = pipes_of(engine)
        assert client.ask("/", method="POST", body=body).body == expected(body)
        assert pipes_of(engine) > pipes
    until = time.monotonic() + PATIENCE
    while pipes_of(engine) > pipes:
        assert time.monotonic() < until, engine.open_files()


def pipes_of(engine):
    return sum(name.startswith("pipe:") for name in engine.open_files())
