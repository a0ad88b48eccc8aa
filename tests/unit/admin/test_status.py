import re
import time

from penstock.admin.status import age, describe, moment, show

BUCKETS = [(0.01, 8), (0.1, 10), (float("inf"), 10)]


def worker(number, requests, **other):
    scoreboard = {
        "requests": requests,
        "queue_length": 1,
        "threads_busy": 2,
        "threads_stuck": 0,
        "threads": [{}] * 8,
        "duration": {"sum": 1.0, "buckets": BUCKETS},
    }
    known = {"number": number, "pid": None, "generation": 3, "state": "ready", "started": time.monotonic()}
    return known | {"scoreboard": scoreboard} | other


def snapshot(uptime, *workers):
    return {
        "version": "1.0",
        "pid": 7,
        "uptime": uptime,
        "addresses": ["http://[::1]:8000"],
        "is_ready": True,
        "is_stopping": False,
        "generation": 3,
        "previous": 2,
        "wanted": 2,
        "restarts": {"reload": 4, "crash": 0},
        "molds": [],
        "workers": list(workers),
    }


def test_the_workers_are_added_up():
    facts = describe(snapshot(10, worker(1, 5), worker(2, 6)))
    assert facts["queue"] == 2
    assert (facts["p50"], facts["p99"]) == (0.01, 0.1)
    assert [row["requests"] for row in facts["workers"]] == [5, 6]
    assert facts["requests_per_second"] is None


def test_the_rate_is_that_of_the_workers_that_were_there_before():
    earlier = snapshot(10, worker(1, 5, pid=None))
    facts = describe(snapshot(12, worker(1, 25, pid=None), worker(2, 600, pid=2**22 + 1)), earlier)
    assert facts["requests_per_second"] == 10


def test_without_workers_there_is_nothing_to_add_up():
    facts = describe(snapshot(10) | {"is_ready": False}, snapshot(9))
    assert (facts["p50"], facts["requests_per_second"], facts["workers"]) == (0.0, 0.0, [])


def test_a_person_reads_a_table():
    earlier = snapshot(10, worker(1, 5))
    text = show(describe(snapshot(3700, worker(1, 5)), earlier), has_colour=False, width=100)
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line]
    assert ["supervisor", "Penstock 1.0, pid 7, ready, up 1h 1m"] in lines
    assert ["address", "http://[::1]:8000"] in lines
    assert ["generation", "3, 2 is kept for a rollback"] in lines
    assert ["restarts", "4 reload"] in lines
    assert lines[-1][1].split() == ["3", "ready", "0s", "5", "2/8", "1", "-"]


def test_a_narrow_terminal_loses_nothing():
    text = show(describe(snapshot(10, worker(1, 123456)), snapshot(9)), has_colour=False, width=40)
    assert "…" not in text
    assert "     1         3  ready   0s    123456   2/8      1       -" in text


def test_without_a_request_there_is_no_latency():
    text = show(describe(snapshot(10), snapshot(9)), has_colour=False, width=100)
    assert "p50 -, p99 -" in text


def test_an_age_has_its_two_largest_units():
    assert [age(seconds) for seconds in (5, 65, 3700, 90000)] == ["5s", "1m 5s", "1h 1m", "1d 1h"]


def test_what_runs_beside_the_web_has_tables_of_its_own():
    now = time.time()
    process = {"name": "queue", "pid": 12, "state": "running", "started": time.monotonic() - 65, "restarts": 2}
    job = {"name": "tidy", "pid": None, "state": "waiting", "started": None, "runs": 3, "failures": 1}
    last = {"began": now, "seconds": 1.25, "ending": "exited with status 3", "is_success": False}
    beside = {
        "processes": [process | {"ending": "was killed by SIGKILL"}],
        "jobs": [job | {"last": last, "next": now}],
    }
    text = show(describe(snapshot(10) | beside, snapshot(9)), has_colour=False, width=100)
    lines = [line.split() for line in text.splitlines()]
    assert ["queue", "12", "running", "1m", "5s", "2", *["was", "killed", "by", "SIGKILL"]] in lines
    [row] = [line for line in lines if line[:1] == ["tidy"]]
    assert row[1:5] == ["waiting", "3", "(1", "failed)"]
    assert row[6:12] == ["exited", "with", "status", "3", "in", "1.2"]


def test_a_time_that_is_not_near_has_its_day():
    assert moment(None) == "never"
    assert re.fullmatch(r"[0-9]{2}:[0-9]{2}:[0-9]{2}", moment(time.time()))
    assert re.fullmatch(r"2001-09-0[89] [0-9]{2}:[0-9]{2}", moment(1e9))
