import pytest
from hypothesis import given
from hypothesis import strategies as st
from readings import snapshot

from penstock.admin.http import LARGEST_HEAD, Answer, encode, live, read_head, ready, startup


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n", ("GET", "/live")),
        (b"HEAD /metrics?name=x HTTP/1.0\r\n\r\n", ("HEAD", "/metrics?name=x")),
        (b"GET /live HTTP/1.1\r\nHost: x\r\n", None),
        (b"", None),
    ],
)
def test_a_request_is_its_method_and_target_when_its_head_is_whole(head, found):
    assert read_head(head) == found


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /live HTTP/1.1\r\n\r\n", 405),
        (b"GET live HTTP/1.1\r\n\r\n", 400),
        (b"GET /live\r\n\r\n", 400),
        (b"GET /live HTTP/2.0\r\n\r\n", 400),
        (b"\x16\x03\x01\r\n\r\n", 400),
        (b"GET /" + b"x" * LARGEST_HEAD, 431),
    ],
)
def test_everything_else_is_refused(head, status):
    assert read_head(head).status == status


@given(st.binary(max_size=300).map(lambda data: data + b"\r\n\r\n"))
def test_whatever_is_sent_gets_an_answer_or_a_path(data):
    found = read_head(data)
    assert (isinstance(found, Answer) and 400 <= found.status < 500) or found[1].startswith("/")


def test_an_answer_has_its_length_and_closes():
    assert encode(Answer(200, "lívé")).endswith(
        b"Content-Length: 6\r\nCache-Control: no-store\r\nConnection: close\r\n\r\nl\xc3\xadv\xc3\xa9"
    )
    assert encode(Answer(200, "live"), has_body=False).endswith(b"Connection: close\r\n\r\n")
    assert b"\r\nAllow: GET, HEAD\r\n" in encode(Answer(405, ""))


@pytest.mark.parametrize(
    ("values", "statuses"),
    [
        ({"generation": 0, "is_ready": False}, (200, 503, 503)),
        ({}, (200, 200, 200)),
        ({"is_ready": False}, (200, 200, 503)),
        ({"is_stopping": True}, (200, 200, 503)),
    ],
    ids=["starting", "serving", "without a worker", "stopping"],
)
def test_health_is_live_then_started_then_ready(values, statuses):
    now = snapshot(**values)
    assert tuple(path(now).status for path in (live, startup, ready)) == statuses
