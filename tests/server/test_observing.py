"""What others see of a running engine: access log, counters, scoreboard."""

import json
import re
import signal
from pathlib import Path

import pytest

from penstock._native import Scoreboard

APP = "waits"


def log_of(start, path: Path, form: str, *targets: str, **options) -> list[str]:
    """The lines that these requests leave in a log of this form."""
    engine = start(APP, access_log=str(path), access_log_format=form, **options)
    for target in targets:
        engine.get(target, 'User-Agent: a "browser"', "Referer: http://from.test/")
    engine.stop()
    return path.read_text().splitlines()


def test_the_combined_log_has_a_line_for_each_request(start, tmp_path):
    lines = log_of(start, tmp_path / "log", "combined", "/fast/1?a=b", "/fast/22")
    assert len(lines) == 2
    assert re.fullmatch(
        r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /fast/1\?a=b HTTP/1\.1" 200 7 '
        r'"http://from\.test/" "a \\?(x22|")browser\\?(x22|")"',
        lines[0],
    )
    assert '"GET /fast/22 HTTP/1.1" 200 8' in lines[1]


def test_the_json_log_has_an_object_for_each_request(start, tmp_path):
    (line,) = log_of(start, tmp_path / "log", "json", "/fast?a=b")
    entry = json.loads(line)
    assert (entry["method"], entry["path"], entry["query"], entry["status"]) == ("GET", "/fast", "a=b", 200)
    assert entry["remote_addr"] == "127.0.0.1"


def test_a_log_may_have_a_form_of_its_own(start, tmp_path):
    form = "%(m)s %(U)s %(q)s %(H)s %(s)s %(B)s %({user-agent}i)s %({content-type}o)s %({SERVER_NAME}e)s"
    (line,) = log_of(start, tmp_path / "log", form, "/fast?a=b")
    assert line.startswith("GET /fast a=b HTTP/1.1 200 5 a ")
    assert line.endswith("text/plain 127.0.0.1")


def test_refused_requests_are_in_the_log(start, tmp_path):
    engine = start(APP, access_log=str(tmp_path / "log"), access_log_format="%(s)s")
    with engine.connect() as client:
        client.send(b"BAD\r\n\r\n")
        client.response()
    engine.stop()
    assert (tmp_path / "log").read_text() == "400\n"


def test_a_failed_request_is_in_the_log_with_its_status(start, tmp_path):
    engine = start("mistakes", access_log=str(tmp_path / "log"), access_log_format="%(s)s %(U)s")
    engine.get("/raises")
    engine.stop()
    assert (tmp_path / "log").read_text() == "500 /raises\n"
    assert "RuntimeError" in engine.logged()


def test_a_client_cannot_forge_a_line(start, tmp_path):
    lines = log_of(start, tmp_path / "log", "combined", "/fast?%0a127.0.0.1", '/fast?a"b', "/fast?\\x41")
    assert len(lines) == 3
    for line in lines:
        assert re.search(r'"GET /fast\?\S+ HTTP/1\.1" 200', line)


def test_a_log_that_was_rotated_is_opened_anew(start, tmp_path):
    log, rotated = tmp_path / "log", tmp_path / "log.1"
    engine = start(APP, access_log=str(log), access_log_format="%(U)s")
    engine.get("/fast/before")
    log.rename(rotated)
    engine.process.send_signal(signal.SIGUSR1)
    assert engine.told() == {"reopened": True}
    # Another thread opens it; what is recorded until then belongs to the old file.
    between = 0
    while not log.exists():
        between += 1
        engine.get("/fast/between")
    engine.get("/fast/after")
    engine.stop()
    assert log.read_text().splitlines()[-1] == "/fast/after"
    expected = ["/fast/before", *["/fast/between"] * between, "/fast/after"]
    assert (rotated.read_text() + log.read_text()).splitlines() == expected


def test_a_log_that_cannot_be_opened_is_refused_at_the_start(start, tmp_path):
    with pytest.raises(AssertionError, match="No such file or directory"):
        start(APP, access_log=str(tmp_path / "missing" / "log"))


@pytest.fixture
def board():
    return Scoreboard(2, 4)


@pytest.fixture
def observed(start, board):
    return start(APP, scoreboard_fd=board.fileno(), scoreboard_slot=1, pass_fds=[board.fileno()])


def test_the_scoreboard_shows_the_request_that_a_thread_is_in(observed, board):
    with observed.connect() as client:
        client.send_request("/held/me?query", method="PUT")
        held = observed.tester.hears("/held/me")
        (running,) = [thread for thread in board.read(1)["threads"] if "path" in thread]
        assert (running["method"], running["path"]) == ("PUT", "/held/me")
        assert board.read(1)["threads_busy"] == 1
        held.release()
        assert client.response().status == 200
    observed.stop()
    assert board.read(1)["threads_busy"] == 0


def test_the_scoreboard_counts_what_was_answered_and_how_long_it_took(observed, board):
    for _ in range(3):
        observed.get("/fast")
    with observed.connect() as client:
        client.send(b"BAD\r\n\r\n")
        client.response()
    stats = observed.stop()
    slot = board.read(1)
    assert slot["responses_2xx"] == 3
    assert slot["responses_4xx"] == 1
    assert slot["refused_by_parser"] == 1
    assert (slot["connections_accepted"], slot["connections_open"]) == (4, 0)
    assert slot["bytes_in"] > 0
    assert slot["bytes_out"] > 0
    assert slot["duration"]["buckets"][-1][1] == 3
    assert {name: slot[name] for name in stats} == stats


def test_other_slots_of_the_scoreboard_stay_empty(observed, board):
    observed.get("/fast")
    observed.stop()
    assert board.read(0)["requests"] == 0
    board.clear(1)
    assert board.read(1)["requests"] == 0


def test_a_thread_that_dies_in_a_killed_worker_is_forgotten_when_its_slot_is_cleared(observed, board):
    with observed.connect() as client:
        client.send_request("/held")
        observed.tester.hears("/held")
        observed.process.kill()
        observed.process.wait()
        assert board.read(1)["threads_busy"] == 1
        board.clear(1)
        assert board.read(1)["threads_busy"] == 0


def test_a_static_answer_is_counted_and_logged(start, board, tmp_path):
    (tmp_path / "static").mkdir()
    (tmp_path / "static/a.css").write_text("a {}")
    mount = {
        "prefix": "/s/",
        "roots": [str(tmp_path / "static")],
        "max_age": 0,
        "immutable": "never",
        "fall_through": False,
    }
    lines = log_of(start, tmp_path / "log", "%(U)s %(s)s", "/s/a.css", "/s/b.css", static=[mount])
    assert lines == ["/s/a.css 200", "/s/b.css 404"]
