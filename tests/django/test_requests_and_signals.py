"""What Django makes of a request: forms, files, and a request_finished for each request_started."""

import hashlib
import socket

import pytest
import requests
from running_site import CHECKOUT, PATIENCE, serve

BOUNDARY = "a-line-that-no-part-contains"


@pytest.fixture(scope="module")
def observer(tmp_path_factory):
    """The socket to which the site reports its signals."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path_factory.mktemp("observer") / "socket"))
        receiver.settimeout(PATIENCE)
        yield receiver


@pytest.fixture(scope="module")
def site(observer):
    with serve(CHECKOUT / "tests/apps", "django_observer", OBSERVER=observer.getsockname()) as site:
        yield site


@pytest.fixture
def signals(observer):
    """Waits for the next `count` signals, in the order in which they were sent."""
    return lambda count: [observer.recv(64).decode() for _ in range(count)]


def multipart(content):
    """A form with one field and one file, in pieces; requests sends pieces chunked."""
    yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="title"\r\n\r\nUnder the weir\r\n'.encode()
    yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="weir.raw"\r\n\r\n'.encode()
    yield from (content[start : start + 65536] for start in range(0, len(content), 65536))
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


# 3 MiB: more than is held in memory, so it comes from a temporary file.
@pytest.mark.parametrize("size", [0, 1000, 3 * 1024 * 1024])
def test_a_chunked_form_reaches_post_and_files(site, signals, size):
    content = bytes(range(256)) * (size // 256) + b"\r\n" * (size % 256 // 2)
    form = b"".join(multipart(content))
    answer = site.post(
        "/echo",
        data=multipart(content),
        headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    assert answer.json() == {
        "post": {"title": "Under the weir"},
        "files": {"photo": {"name": "weir.raw", "sha256": hashlib.sha256(content).hexdigest()}},
        "content_length": str(len(form)),
    }
    assert signals(2) == ["started", "finished"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_many_megabytes_arrives_whole(site, signals, chunked):
    content = bytes(range(256)) * 4096 * 20
    answer = site.post("/body", data=iter([content]) if chunked else content)
    assert answer.json() == {"sha256": hashlib.sha256(content).hexdigest()}
    assert signals(2) == ["started", "finished"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/no-such-page", 404),
        ("GET", "/raises", 500),
        ("GET", "/stream", 200),
        ("HEAD", "/stream", 200),
    ],
)
def test_each_started_request_is_finished(site, signals, method, path, status):
    assert site.request(method, path).status_code == status
    assert signals(2) == ["started", "finished"]


def test_a_request_is_finished_when_its_stream_raises(site, signals):
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        site.get("/stream-raises")
    assert signals(2) == ["started", "finished"]


def test_a_request_is_finished_when_the_client_leaves_in_the_middle(site, signals):
    with site.get("/endless", stream=True) as answer:
        assert answer.raw.read(1000) == b"x" * 1000
    assert signals(2) == ["started", "finished"]
