"""wsgiref.validate, Django and Flask are content with the server: for GET, POST, chunked and streamed responses."""

import hashlib
import json

import pytest

APP = "validated"
# Small, so that the same requests also go through temporary files.
OPTIONS = {"body_memory": 1000}
FORM = b"name=Ada&title=caf%C3%A9"
UPLOAD = bytes(range(256)) * 20
MULTIPART = b"\r\n".join(
    [
        b"--limit",
        b'Content-Disposition: form-data; name="title"',
        b"",
        b"A picture",
        b"--limit",
        b'Content-Disposition: form-data; name="picture"; filename="a.bin"',
        b"Content-Type: application/octet-stream",
        b"",
        UPLOAD,
        b"--limit--",
        b"",
    ]
)
MULTIPART_TYPE = "Content-Type: multipart/form-data; boundary=limit"
FORM_TYPE = "Content-Type: application/x-www-form-urlencoded"


def post(engine, target, kind, body, chunked):
    if not chunked:
        return engine.get(target, kind, method="POST", body=body)
    with engine.connect() as client:
        client.send_request(target, kind, "Transfer-Encoding: chunked", method="POST")
        for start in range(0, len(body), 100):
            piece = body[start : start + 100]
            client.send(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece))
        client.send(b"0\r\nTrailer: dropped\r\n\r\n")
        return client.response()


@pytest.mark.parametrize("target", ["/django/", "/django/stream", "/flask/", "/flask/stream"])
def test_get_is_valid(engine, target):
    assert engine.get(target).status == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_post_is_valid(engine, chunked):
    assert post(engine, "/plain", FORM_TYPE, FORM, chunked).body == f"{len(FORM)} {len(FORM)}".encode()


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_form_reaches_django(engine, chunked):
    answer = json.loads(post(engine, "/django/echo", FORM_TYPE, FORM, chunked).body)
    assert answer == {"post": {"name": "Ada", "title": "caf\xe9"}, "files": {}, "content_length": str(len(FORM))}


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_upload_reaches_django(engine, chunked):
    answer = json.loads(post(engine, "/django/echo", MULTIPART_TYPE, MULTIPART, chunked).body)
    assert answer["post"] == {"title": "A picture"}
    assert answer["files"] == {"picture": {"name": "a.bin", "sha256": hashlib.sha256(UPLOAD).hexdigest()}}
    assert answer["content_length"] == str(len(MULTIPART))


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_form_and_an_upload_reach_flask(engine, chunked):
    assert post(engine, "/unjudged/sign", FORM_TYPE, FORM, chunked)["Location"] == "/unjudged/"
    answer = json.loads(post(engine, "/flask/pictures", MULTIPART_TYPE, MULTIPART, chunked).body)
    assert answer == {"name": "a.bin", "size": len(UPLOAD), "host": "example.test", "scheme": "http"}


def test_a_view_that_raises_is_djangos_own_500(engine):
    assert b"Server Error (500)" in engine.get("/django/raises").body


def test_a_stream_that_raises_is_cut_off(engine):
    with engine.connect() as client:
        client.send_request("/django/stream-raises")
        client.head()
        assert client.rest() == b"8\r\na piece\n\r\n"
    assert "this stream raises on purpose" in engine.logged()
