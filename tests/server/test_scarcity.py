"""No descriptors, no room on the disk, no threads: that request gets 503, the others go on, and the worker lives."""

import contextlib
import re
import resource
from pathlib import Path

import pytest

APP = "scarce"
LARGE = b"x" * 2_000_000


def test_without_descriptors_those_who_are_connected_go_on_and_others_wait(start):
    engine = start(APP, limits={"RLIMIT_NOFILE": 64})
    with engine.connect() as client:
        assert int(client.ask("/take").body) > 10
        late = engine.connect()
        late.send_request("/length")
        for _ in range(20):
            assert client.ask("/length", method="POST", body=b"12345").body == b"5"
        assert client.ask("/give_back").body == b"given back"
        assert late.response().status == 200
        late.socket.close()


def test_without_descriptors_a_body_that_needs_a_file_gets_503(start):
    engine = start(APP, limits={"RLIMIT_NOFILE": 64}, body_memory=1000)
    with engine.connect() as client, engine.connect() as uploader:
        assert uploader.ask("/length").status == 200
        client.ask("/take")
        uploader.send_request("/length", method="POST", body=LARGE)
        assert uploader.response().status == 503
        assert client.ask("/give_back").status == 200
    assert engine.get("/length", method="POST", body=LARGE).body == str(len(LARGE)).encode()


def test_more_clients_than_descriptors_are_served_one_after_the_other(start):
    engine = start(APP, limits={"RLIMIT_NOFILE": 64})
    clients = [engine.connect() for _ in range(100)]
    for client in clients:
        client.send_request("/length")
    for client in clients:
        assert client.response().status == 200
        client.socket.close()


def test_a_full_disk_gives_503_to_a_body_that_needs_it_and_the_worker_lives(start):
    engine = start(APP, limits={"RLIMIT_FSIZE": 1_000_000}, body_memory=1000)
    for _ in range(3):
        with engine.connect() as client:
            client.send_request("/length", method="POST", body=LARGE)
            response = client.response()
            assert (response.status, response["Connection"]) == (503, "close")
    assert engine.get("/length", method="POST", body=b"x" * 900_000).body == b"900000"


def test_a_slow_large_body_that_finds_a_full_disk_gets_503_and_loses_no_beginning(start):
    engine = start(APP, limits={"RLIMIT_FSIZE": 1_000_000})
    with engine.connect() as client:
        client.send_request("/length", "Content-Length: 5000000", method="POST")
        client.send(b"x" * 3_000_000)
        assert client.response().status == 503
    assert engine.get("/length").body == b"0"


def test_a_large_body_that_finds_neither_memory_nor_a_file_gets_503(start, tmp_path):
    engine = start(APP, bind=[str(tmp_path / "socket")])
    engine.temp_dir.rmdir()
    [used] = re.findall(r"VmData:\s+(\d+) kB", Path(f"/proc/{engine.process.pid}/status").read_text())
    resource.prlimit(engine.process.pid, resource.RLIMIT_DATA, (int(used) * 1024 + 10_000_000,) * 2)
    with engine.connect() as client:
        client.send_request("/length", "Content-Length: 20000000", method="POST")
        # So small that the pipes do not hold them: all that has come is to be copied into one block of memory.
        with contextlib.suppress(BrokenPipeError):
            for _ in range(30_000):
                client.send(b"x" * 500)
        response = client.response()
        assert (response.status, response["Connection"]) == (503, "close")
    assert engine.get("/length").body == b"0"


def test_a_missing_temporary_directory_gives_503_to_a_body_that_needs_it(start):
    engine = start(APP, body_memory=1000)
    engine.temp_dir.rmdir()
    assert engine.get("/length", method="POST", body=LARGE).status == 503
    assert engine.get("/length", method="POST", body=b"x" * 1000).body == b"1000"
    engine.temp_dir.mkdir()
    assert engine.get("/length", method="POST", body=LARGE).body == str(len(LARGE)).encode()


@pytest.mark.parametrize("trouble", ["full disk", "no directory"])
@pytest.mark.parametrize("name", ["much", "held_and_much"])
def test_a_response_that_needs_a_file_and_gets_none_arrives_whole_all_the_same(start, name, trouble):
    engine = start(APP, limits={"RLIMIT_FSIZE": 1_000_000} if trouble == "full disk" else {}, response_memory=1000)
    if trouble == "no directory":
        engine.temp_dir.rmdir()
    with engine.connect() as client:
        client.send_request(f"/{name}")
        if name == "held_and_much":
            held = engine.tester.hears("held")
            # Others are answered, so another thread has the loop by now.
            assert engine.get("/length").status == 200
            held.release()
        head = client.head()
        assert engine.get("/length").status == 200
        if "Content-Length" in head:
            assert client.take_many(30_000_000) == b"x" * 30_000_000
        else:
            assert b"".join(iter(client.chunk, b"")) == b"x" * 30_000_000
        assert client.ask("/length").status == 200
    log = engine.logged()
    told = f"no temporary file can be written in {engine.temp_dir}"
    # A thread that has to wait for its reader is worth a line; a list that stays in memory may be.
    assert told in log or (name == "held_and_much" and log == "")


def test_a_reader_in_time_does_not_notice_that_there_is_no_disk(start):
    engine = start(APP, response_memory=100_000_000)
    engine.temp_dir.rmdir()
    assert len(engine.get("/much").body) == 30_000_000


def test_write_waits_for_its_reader_when_there_is_no_disk(start):
    engine = start("answers", response_memory=1000)
    engine.temp_dir.rmdir()
    with engine.connect() as client:
        client.send_request("/written_much")
        head = client.head()
        for _ in range(50):
            assert engine.get("/one").body == b"hello"
        assert engine.tester.unheard() == []
        assert head["Transfer-Encoding"] == "chunked"
        assert b"".join(iter(client.chunk, b"")) == b"x" * 30_000_000
        engine.tester.hears("written")
    assert "threads wait for slow readers" in engine.logged()


def test_a_worker_that_can_start_no_more_threads_goes_on_with_those_that_it_has(start):
    engine = start("waits", threads=4, health_path="/health")
    with engine.connect() as first, engine.connect() as second:
        first.send_request("/held")
        held = engine.tester.hears("/held")
        # Another thread has the loop now; for the stack of a third one there is no room.
        assert engine.get("/fast").body == b"/fast"
        size = int(Path(f"/proc/{engine.process.pid}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(engine.process.pid, resource.RLIMIT_AS, (size + 6_000_000, size + 6_000_000))
        for _ in range(6):
            second.send_request("/held")
            other = engine.tester.hears("/held")
            # Both threads wait: this needs none.
            assert engine.get("/health").status == 200
            other.release()
            assert second.response().body == b"/held"
        held.release()
        assert first.response().body == b"/held"
    assert engine.stop()["threads_started"] == 2
