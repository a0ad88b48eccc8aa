"""Files that wait for the application's word, as the running engine sends them."""

import gzip

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

APP = "guards:application"
TEXT = b"for those who say please\n" * 2000


PIECES = [
    "/",
    "//",
    ".",
    "..",
    "%2e",
    "%2F",
    "%2f",
    "%5c",
    "\\",
    ";",
    "%00",
    "%25",
    "private",
    "%70rivate",
    "priv%61te",
]
PIECES += ["static", "%73tatic", "a.txt", "a%2etxt", "x", "?", "?please", "PRIVATE", "http://static", "%", "caf\xe9"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("guarded")
    root.joinpath("private").mkdir()
    root.joinpath("private/a.txt").write_bytes(TEXT)
    root.joinpath("private/a.txt.gz").write_bytes(gzip.compress(TEXT))
    root.joinpath("open.txt").write_bytes(b"open")
    return root


@pytest.fixture(scope="module")
def site(module_start, files):
    common = {"roots": [str(files)], "max_age": 60, "immutable": "hashed"}
    mounts = [
        common | {"prefix": "/static/", "fall_through": False},
        common | {"prefix": "/loose/", "fall_through": True},
    ]
    return module_start(APP, static=mounts, guarded=["/static/private", "/loose/"])


def test_a_guarded_file_is_the_applications_until_it_hands_the_file_back(site):
    assert site.get("/static/private/a.txt").body == b"the application, with a file to give"
    answer = site.get("/static/private/a.txt?please")
    assert (answer.status, answer.body) == (200, TEXT)
    assert answer["Cache-Control"] == "private, no-cache"


def test_validators_ranges_and_siblings_are_as_for_every_file(site):
    tag = site.get("/static/private/a.txt?please")["ETag"]
    assert site.get("/static/private/a.txt?please", f"If-None-Match: {tag}").status == 304
    part = site.get("/static/private/a.txt?please", "Range: bytes=4-8")
    assert (part.status, part.body) == (206, TEXT[4:9])
    packed = site.get("/static/private/a.txt?please", "Accept-Encoding: gzip")
    assert gzip.decompress(packed.body) == TEXT
    assert site.get("/static/private/a.txt?please", method="POST", body=b"x" * 100_000).status == 405


def test_a_missing_file_is_the_engines_404_or_falls_through_to_the_application(site):
    assert site.get("/static/private/none.txt?please").status == 404
    assert site.get("/loose/none.txt?please").body == b"the application, with a file to give"
    assert site.get("/loose/open.txt?please").body == b"open"


def test_where_there_is_no_mount_there_is_no_file(site):
    assert site.get("/elsewhere?please").body == b"the application, with a file to give"


def test_the_connection_serves_on_behind_a_guarded_file(site):
    with site.connect() as client:
        for target, body in {
            "/static/private/a.txt?please": TEXT,
            "/static/open.txt": b"open",
            "/static/private/a.txt": b"the application, with a file to give",
        }.items():
            assert client.ask(target).body == body


def test_a_file_cannot_come_behind_a_response_that_has_begun(site):
    assert site.get("/static/private/a.txt?late").status == 500
    assert "serve_file came after the response had begun" in site.logged()


def test_where_nothing_is_guarded_there_is_no_file_to_give(module_start):
    assert module_start(APP).get("/").body == b"the application"


@pytest.fixture(scope="module")
def closed(module_start, files):
    mount = {"prefix": "/static/", "roots": [str(files)], "max_age": 60, "immutable": "hashed", "fall_through": False}
    return module_start("guards:closed", static=[mount], guarded=["/static/private"])


@settings(max_examples=400, deadline=None)
@given(some.lists(some.sampled_from(PIECES), max_size=9).map("".join))
@example("static/private/a.txt")
@example("/static//private/a.txt")
@example("static/x/../private/a.txt")
@example("x/../static/private/a.txt")
@example("%2e/static/private")
@example("static/x%2f%2e%2e/private/a.txt")
def test_no_spelling_of_a_path_is_guarded_by_neither_the_engine_nor_the_rule(closed, rest):
    assert b"please" not in closed.get("/" + rest).body
