"""A request_finished for each request_started, whatever stands between Django and the engine."""

import socket

import pytest
from running_site import CHECKOUT, PATIENCE, serve

APPS = CHECKOUT / "tests/apps"


@pytest.fixture
def observer(tmp_path):
    """The socket to which the site reports its signals."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "observer"))
        receiver.settimeout(PATIENCE)
        yield receiver


@pytest.fixture
def signals(observer):
    """Waits for the next `count` signals, in the order in which they were sent."""
    return lambda count: [observer.recv(64).decode() for _ in range(count)]


@pytest.fixture
def serve_observed(observer):
    """Serves the observed site; arguments as on the command line."""
    return lambda *arguments, app="django_observer": serve(APPS, app, *arguments, OBSERVER=observer.getsockname())


def through(*names):
    return [argument for name in names for argument in ("--middleware", f"middlewares:{name}")]


REQUESTS = [("GET", "/"), ("HEAD", "/"), ("GET", "/raises"), ("GET", "/stream"), ("HEAD", "/stream"), ("GET", "/no")]


@pytest.mark.parametrize("name", ["Joins", "Streams", "Raises"])
def test_each_started_request_is_finished_though_a_middleware_loses_close(serve_observed, signals, name):
    with serve_observed(*through(name)) as site:
        for method, path in REQUESTS * 2:
            site.request(method, path)
            assert signals(2) == ["started", "finished"], (method, path)


def test_the_only_middleware_that_can_have_lost_close_is_named_at_once_and_once(serve_observed, signals):
    with serve_observed("--workers", "1", *through("Joins")) as site:
        site.get("/")
        assert site.wait_for("does not call close")[0]
        site.get("/")
        assert signals(4) == ["started", "finished"] * 2
    assert site.log().count("does not call close") == 1


@pytest.mark.parametrize("names", [("Passes", "Joins"), ("Joins", "Passes"), ("Closes", "Streams", "Passes")])
def test_of_several_middlewares_the_one_that_loses_close_is_named_the_next_time(serve_observed, signals, names):
    [bad] = {"Joins", "Streams"}.intersection(names)
    with serve_observed("--workers", "1", *through(*names)) as site:
        site.get("/")
        line = site.wait_for("warning GET /: one of (.*) does not call close")
        assert line[1] == ", ".join(f"the middleware middlewares:{name}" for name in names)
        for _ in range(2):
            assert site.get("/").text == "hello"
        assert site.wait_for("warning GET /: the middleware middlewares:([A-Z][a-z]*) does not call close")[1] == bad
        assert signals(6) == ["started", "finished"] * 3
    assert site.log().count("does not call close") == 2


def test_middlewares_that_close_are_not_suspected(serve_observed, signals):
    with serve_observed("--workers", "1", *through("Closes", "Passes", "Closes")) as site:
        for path in ("/", "/stream", "/raises"):
            site.get(path)
            assert signals(2) == ["started", "finished"]
    assert "close()" not in site.log()


def test_what_was_wrapped_by_hand_is_named_by_its_outermost_class(serve_observed, signals):
    with serve_observed("--workers", "1", app="django_wrapped_by_hand") as site:
        site.get("/")
        assert site.wait_for("GET /: middlewares.Passes, or what it wraps, does not call close")
        assert signals(2) == ["started", "finished"]


def test_a_request_past_its_deadline_is_finished_and_nobody_is_blamed(serve_observed, signals):
    with serve_observed("--workers", "1", "--timeout", "200ms", *through("Passes")) as site:
        assert site.get("/overdue").status_code == 504
        assert signals(2) == ["started", "finished"]
        assert site.get("/").status_code == 200
        assert signals(2) == ["started", "finished"]
    assert "does not call close" not in site.log()


def test_a_request_whose_client_has_left_is_finished_though_a_middleware_loses_close(serve_observed, signals):
    with serve_observed(*through("Passes", "Endless")) as site:
        with site.get("/stream", stream=True) as answer:
            assert answer.raw.read(1000) == b"x" * 1000
        assert signals(2) == ["started", "finished"]
