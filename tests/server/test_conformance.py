"""The corpus of tests/conformance against a live server: each case whole, in small sends, and followed by another
request. What was refused, and what follows it, must never reach the application, which tells what it has seen.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from running_engine import RunningEngine, running
from running_front import RunningFront, front_with

sys.path.append(str(Path(__file__).parents[1] / "conformance"))
from cases import Case, Request, cases

CASES = list(cases())
OPTION_OF = {"request_line": "max_request_line", "head": "max_head", "fields": "max_fields", "body": "max_body"}
FOLLOWING = b"GET /- HTTP/1.1\r\nHost: x\r\n\r\n"
DEFAULT = {"hosts": [""], "path": "/", "site": 0}
# More sends than this make a long case slow and find nothing new.
MOST_SENDS = 400


@pytest.fixture(scope="module", params=["alone", "behind a front"])
def engine_for(request) -> Iterator:
    """The engine with these limits, or the front of one; each is started once."""
    engines: dict[str, RunningEngine | RunningFront] = {}
    with ExitStack() as stack:

        def find(limits: dict[str, int]) -> RunningEngine | RunningFront:
            key = json.dumps(limits)
            if key not in engines:
                options = {OPTION_OF[name]: limit for name, limit in limits.items()}
                if request.param == "alone":
                    engines[key] = stack.enter_context(running("echo:application", **options))
                else:
                    front = stack.enter_context(front_with([DEFAULT], sites=1, options=options))
                    stack.enter_context(front.engine("echo:application", 0, **options))
                    engines[key] = front
            return engines[key]

        yield find


def assert_seen(seen: dict, expected: Request) -> None:
    """What reached the application is what the case says."""
    environ = seen["environ"]
    assert environ["REQUEST_METHOD"] == expected.method
    assert environ["REQUEST_URI"] == expected.target
    assert environ["PATH_INFO"] == unquote_to_bytes(expected.path).decode("latin-1")
    assert environ["QUERY_STRING"] == expected.query
    assert environ["SERVER_PROTOCOL"] == f"HTTP/{expected.version}"
    assert environ.get("HTTP_HOST") == expected.host
    assert seen["body"] == expected.body.decode("latin-1")
    assert ("CONTENT_LENGTH" in environ) == (expected.framing != "none")
    if expected.framing != "none":
        assert environ["CONTENT_LENGTH"] == str(len(expected.body))
    if expected.fields is not None:
        joined: dict[str, list[str]] = {}
        for name, value in expected.fields:
            joined.setdefault("HTTP_" + name.upper().replace("-", "_"), []).append(value.decode("latin-1"))
        joined.pop("HTTP_CONTENT_LENGTH", None)
        joined["HTTP_HOST"] = [expected.host] if expected.host is not None else joined.get("HTTP_HOST", [])
        content_type = joined.pop("HTTP_CONTENT_TYPE", [])
        assert environ.get("CONTENT_TYPE", "") == ", ".join(content_type)
        received = {name: value for name, value in environ.items() if name.startswith("HTTP_")}
        wanted = {name: ("; " if name == "HTTP_COOKIE" else ", ").join(values) for name, values in joined.items()}
        assert received == {name: value for name, value in wanted.items() if name != "HTTP_HOST" or value}


def in_small_sends(client, wire: bytes) -> None:
    size = max(1, -(-len(wire) // MOST_SENDS))
    for start in range(0, len(wire), size):
        client.send(wire[start : start + size])


@pytest.mark.parametrize("way", ["whole", "in small sends", "followed by another request"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_case_is_answered_as_it_says_and_what_is_refused_is_never_seen(engine_for, case: Case, way: str):
    engine = engine_for(case.limits)
    stays = case.refused is None and not case.incomplete and all(request.keep_alive for request in case.requests)
    follows = way == "followed by another request" and not case.incomplete
    with engine.connect() as client:
        if way == "in small sends":
            in_small_sends(client, case.wire)
        else:
            client.send(case.wire + (FOLLOWING if follows else b""))
        if not follows and case.refused is None:
            client.finish_sending()
        expected = list(case.requests)
        if follows and stays:
            expected.append(Request("GET", "/-", path="/-", host="x"))
        for request in expected:
            while (response := client.response(to=request.method)).status == 100:
                assert request.expects_continue
            assert response.status == 200
        if case.refused is not None:
            response = client.response()
            assert response.status == case.refused
            assert response["Connection"] == "close"
        if not (follows and stays):
            assert client.rest() == b""
    with engine.connect() as client:
        # As short as the narrowest limits allow.
        client.send(b"GET /-- HTTP/1.0\r\n\r\n")
        seen = json.loads(client.response().body)
    assert len(seen) == len(expected)
    for one, request in zip(seen, expected, strict=True):
        assert_seen(one, request)
