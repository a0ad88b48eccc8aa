"""However the bytes of some requests are cut into pieces, the answers of a live server are the same."""

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

APP = "echo:application"
OPTIONS = {"body_memory": 50}

bodies = st.binary(max_size=120)
methods = st.sampled_from(["GET", "POST", "PUT", "m-search"])
paths = st.text("abc/%41?=&.", max_size=12).map("/".__add__)
fields = st.lists(
    st.sampled_from(["Accept: text/html", "X-A:1", "X-A: 2 \t", "Cookie: a=b", "X-Empty:", "X_D: no"]), max_size=4
)


def chunked(body: bytes, sizes: list[int]) -> bytes:
    """The body in chunks of these sizes, the last one as large as is left."""
    pieces = []
    for size in sizes:
        pieces.append(body[:size])
        body = body[size:]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, body] if piece) + b"0\r\n\r\n"


@st.composite
def requests(draw) -> tuple[bytes, dict]:
    """A request on the wire, and what has to reach the application."""
    method, path, body = draw(methods), draw(paths), draw(st.none() | bodies)
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *draw(fields)]
    wire = b""
    if body is not None and draw(st.booleans()):
        lines.append(f"Content-Length: {len(body)}")
        wire = body
    elif body is not None:
        lines.append("Transfer-Encoding: chunked")
        wire = chunked(body, draw(st.lists(st.integers(1, 50), max_size=4)))
    head = "".join(line + "\r\n" for line in lines) + "\r\n"
    return head.encode() + wire, {"method": method, "uri": path, "body": (body or b"").decode("latin-1")}


@settings(max_examples=200, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=5), st.lists(st.integers(0, 1500), max_size=12))
def test_answers_do_not_depend_on_how_the_bytes_are_cut(shared_engine, sent, cuts):
    wire = b"".join(request for request, _ in sent)
    places = [0, *sorted({cut for cut in cuts if 0 < cut < len(wire)}), len(wire)]
    with shared_engine.connect() as client:
        for start, end in pairwise(places):
            client.send(wire[start:end])
        for _, expected in sent:
            response = client.response()
            assert response.status == 200
            seen = json.loads(response.body)
            environ = seen["environ"]
            assert {
                "method": environ["REQUEST_METHOD"],
                "uri": environ["REQUEST_URI"],
                "body": seen["body"],
            } == expected
        client.finish_sending()
        assert client.rest() == b""
