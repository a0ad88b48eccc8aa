"""What the engine answers and adds by itself when it is asked to: a health check, and a number for each request."""

import json
import re

HEALTH = "/healthz"


def test_the_health_path_is_answered_while_every_thread_is_busy(start):
    engine = start("waits", threads=1, health_path=HEALTH)
    with engine.connect() as client, engine.connect() as checking:
        client.send_request("/held")
        held = engine.tester.hears("/held")
        for _ in range(3):
            assert checking.ask(HEALTH).status == 200
        assert checking.ask(HEALTH, method="HEAD").status == 200
        assert checking.ask(f"{HEALTH}?deep=1").status == 200
        held.release()
        assert client.response().body == b"/held"


def test_a_worker_that_leaves_does_not_call_the_site_sick(start):
    engine = start("waits", health_path=HEALTH)
    with engine.connect() as client, engine.connect() as checking:
        client.send_request("/held")
        held = engine.tester.hears("/held")
        checking.send(f"GET {HEALTH} HTTP/1.1\r\n".encode())
        assert engine.get("/fast").status == 200
        engine.begin_stop_and_see()
        checking.send(b"Host: x\r\n\r\n")
        response = checking.response()
        assert (response.status, response["Connection"]) == (200, "close")
        held.release()
        assert client.response().status == 200
    engine.wait()


def test_other_paths_are_the_applications(start):
    engine = start("waits", health_path="/fast/health")
    assert engine.get("/fast/health").body != b"/fast/health"
    assert engine.get("/fast/health/").body == b"/fast/health/"
    assert engine.get("/fast").body == b"/fast"


def id_of(engine, *fields):
    return json.loads(engine.get("/", *fields).body)["environ"].get("HTTP_X_REQUEST_ID")


def test_each_request_gets_a_number_of_its_own(start):
    engine = start("echo:application", request_id=True)
    numbers = {id_of(engine) for _ in range(40)}
    assert len(numbers) == 40
    assert all(re.fullmatch(r"[0-9a-f-]{32,36}", number) for number in numbers)


def test_a_trusted_proxys_number_is_kept_and_anybody_elses_is_not(start):
    trusting = start("echo:application", request_id=True, forwarded_allow=["127.0.0.1"])
    assert id_of(trusting, "X-Request-ID: from-the-proxy") == "from-the-proxy"
    assert id_of(start("echo:application", request_id=True), "X-Request-ID: forged") != "forged"


def test_the_number_is_in_the_access_log(start, tmp_path):
    log = {"access_log": str(tmp_path / "log"), "access_log_format": "json"}
    engine = start("echo:application", request_id=True, **log)
    number = id_of(engine)
    engine.stop()
    assert json.loads((tmp_path / "log").read_text())["request_id"] == number


def test_without_being_asked_the_engine_adds_none(start):
    assert id_of(start("echo:application")) is None
