"""Files that the running engine serves by itself, those that the application names, and what must never be seen. The
details of each field are tested where they are made, in static_files.rs.
"""

import gzip

import pytest

APP = "sends_files"
CSS = b"body { color: red }\n" * 500


@pytest.fixture(scope="module")
def site(module_start, tmp_path_factory):
    """An engine with a mount of two roots, one that falls through, and a protected directory."""
    root = tmp_path_factory.mktemp("site")
    for name in ("static", "more", "media", "secret"):
        (root / name).mkdir()
    (root / "static/site.css").write_bytes(CSS)
    (root / "static/site.css.gz").write_bytes(gzip.compress(CSS))
    (root / "static/app.3f2a1b4c5d6e.js").write_bytes(b"let a = 1\n")
    (root / "static/.htpasswd").write_bytes(b"hidden")
    (root / "static/folder").mkdir()
    (root / "static/folder/page.html").write_bytes(b"<p>page</p>")
    (root / "static/caf\xe9 1.txt").write_bytes(b"named")
    (root / "static/link").symlink_to(root / "secret/report.txt")
    (root / "more/only-here.txt").write_bytes(b"second root")
    (root / "media/upload.txt").write_bytes(b"uploaded")
    (root / "secret/report.txt").write_bytes(b"for those who may\n")
    common = {"max_age": 60, "immutable": "hashed"}
    engine = module_start(
        APP,
        static=[
            {
                "prefix": "/static/",
                "roots": [str(root / "static"), str(root / "more")],
                "fall_through": False,
                **common,
            },
            {"prefix": "/plain/", "roots": [str(root / "media")], "fall_through": True, **common},
        ],
        protected={"/protected/": str(root / "secret")},
    )
    return engine, root


def test_a_file_is_served_with_its_type_length_and_validators(site):
    response = site[0].get("/static/site.css")
    assert (response.status, response.body) == (200, CSS)
    assert response["Content-Type"].startswith("text/css")
    assert response["Content-Length"] == str(len(CSS))
    assert response["Cache-Control"] == "max-age=60, public"
    assert response["Vary"] == "Accept-Encoding"
    assert "ETag" in response
    assert "Last-Modified" in response


def test_head_gets_the_same_without_the_body(site):
    with site[0].connect() as client:
        get = client.ask("/static/site.css")
        head = client.ask("/static/site.css", method="HEAD")
        assert (head.body, head["Content-Length"], head["ETag"]) == (b"", get["Content-Length"], get["ETag"])
        assert client.ask("/static/site.css").body == CSS


def test_what_has_not_changed_is_304_by_either_validator(site):
    with site[0].connect() as client:
        first = client.ask("/static/site.css")
        for field in (f"If-None-Match: {first['ETag']}", f"If-Modified-Since: {first['Last-Modified']}"):
            response = client.ask("/static/site.css", field)
            assert (response.status, response.body) == (304, b"")
        assert client.ask("/static/site.css", 'If-None-Match: "other"').status == 200


def test_a_condition_that_comes_in_several_fields_is_one_list(site):
    with site[0].connect() as client:
        tag = f"If-None-Match: {client.ask('/static/site.css')['ETag']}"
        other = 'If-None-Match: "other"'
        for fields in ([other, tag], [tag, other], [other, "Range: bytes=0-1", other, tag]):
            assert client.ask("/static/site.css", *fields).status == 304
        assert client.ask("/static/site.css", other, other).status == 200


def test_a_range_that_comes_twice_is_ignored(site):
    with site[0].connect() as client:
        assert client.ask("/static/site.css", "Range: bytes=0-1", "Range: bytes=2-3").status == 200


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-9", 206, CSS[:10]),
        ("bytes=9990-", 206, CSS[9990:]),
        ("bytes=-5", 206, CSS[-5:]),
        ("bytes=0-99999", 206, CSS),
        ("bytes=99999-", 416, None),
        ("lines=1-2", 200, CSS),
    ],
)
def test_ranges(site, asked, status, body):
    response = site[0].get("/static/site.css", f"Range: {asked}")
    assert response.status == status
    assert body is None or response.body == body


def test_a_packed_sibling_is_sent_to_who_accepts_it(site):
    response = site[0].get("/static/site.css", "Accept-Encoding: gzip, br;q=0")
    assert response["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.body) == CSS
    assert response["ETag"] != site[0].get("/static/site.css")["ETag"]


def test_names_with_a_hash_never_change(site):
    assert "immutable" in site[0].get("/static/app.3f2a1b4c5d6e.js")["Cache-Control"]


def test_a_second_root_is_asked_when_the_first_has_no_such_file(site):
    assert site[0].get("/static/only-here.txt").body == b"second root"


def test_names_are_decoded(site):
    assert site[0].get("/static/caf%C3%A9%201.txt").body == b"named"


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/folder",
        "/static/folder/",
        "/static/missing.css",
        "/static/.htpasswd",
        "/static/%2ehtpasswd",
        "/static/../secret/report.txt",
        "/static/%2e%2e/secret/report.txt",
        "/static/..%2fsecret/report.txt",
        "/static/folder%2fpage.html",
        "/static/folder/../site.css",
        "/static/link",
        "/static/site.css/",
        "/static/site.css%00",
        "/static/%5c..%5csecret",
    ],
)
def test_what_is_not_to_be_seen_is_404(site, path):
    response = site[0].get(path)
    assert response.status == 404
    assert b"for those" not in response.body


def test_other_methods_are_405_and_their_body_is_read(site):
    with site[0].connect() as client:
        response = client.ask("/static/site.css", method="POST", body=b"x" * 100)
        assert (response.status, response["Allow"]) == (405, "GET, HEAD")
        assert client.ask("/static/site.css").status == 200


def test_what_is_missing_may_fall_through_to_the_application(site):
    with site[0].connect() as client:
        assert client.ask("/plain/upload.txt").body == b"uploaded"
        assert client.ask("/plain/missing.txt").body == b"/plain/missing.txt"


def test_a_file_that_is_replaced_is_served_anew(site):
    engine, root = site
    (root / "static/changing.txt").write_bytes(b"old")
    assert engine.get("/static/changing.txt").body == b"old"
    (root / "static/new").write_bytes(b"newer")
    (root / "static/new").rename(root / "static/changing.txt")
    # The old one may be remembered for a moment.
    assert any(engine.get("/static/changing.txt").body == b"newer" for _ in range(10_000))


def heard_closed(engine) -> None:
    engine.tester.hears("closed")
    assert engine.tester.unheard() == []


@pytest.mark.parametrize("way", ["accel", "sendfile"])
def test_the_application_may_name_a_protected_file_in_place_of_its_body(site, way):
    engine, root = site
    where = "/protected/report.txt" if way == "accel" else str(root / "secret/report.txt")
    with engine.connect() as client:
        response = client.ask(f"/{way}?{where}")
        assert (response.status, response.body) == (200, b"for those who may\n")
        assert "X-Accel-Redirect" not in response
        assert "X-Sendfile" not in response
        assert response["Content-Type"].startswith("text/x-own" if way == "sendfile" else "text/plain")
        heard_closed(engine)
        assert client.ask("/static/site.css").status == 200


def test_a_protected_file_has_ranges_and_no_body_for_head(site):
    engine, _ = site
    assert engine.get("/accel?/protected/report.txt", "Range: bytes=4-8").body == b"those"
    heard_closed(engine)
    response = engine.get("/accel?/protected/report.txt", method="HEAD")
    assert (response["Content-Length"], response.body) == ("18", b"")
    heard_closed(engine)


def test_a_protected_file_cannot_be_asked_for_by_a_client(site):
    assert site[0].get("/protected/report.txt").status == 500
    assert "has no attribute 'protected'" in site[0].logged()


def test_a_protected_file_that_is_missing_is_404(site):
    assert site[0].get("/accel?/protected/missing.txt").status == 404
    heard_closed(site[0])
    site[0].logged()


@pytest.mark.parametrize(
    "query", ["sendfile?/etc/passwd", "accel?/elsewhere/passwd", "accel?/protected/../static/site.css"]
)
def test_a_file_outside_of_the_protected_directories_is_the_applications_error(site, query):
    response = site[0].get(f"/{query}")
    assert response.status == 500
    assert b"root:" not in response.body
    heard_closed(site[0])
    assert "lies in no protected directory" in site[0].logged()


def test_without_a_protected_directory_the_fields_are_like_any_other(start):
    engine = start(APP)
    response = engine.get("/accel?/x")
    assert (response["X-Accel-Redirect"], response.body) == ("/x", b"not this")
    engine.tester.hears("closed")
