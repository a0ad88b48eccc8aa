"""The example project, over HTTP, as somebody meets it who runs `make run`."""

import http.client
import re
import subprocess
import sys

import pytest
from running_site import Visitor, manage, serve


@pytest.fixture(scope="module")
def address(library):
    """The example as on a live site: DEBUG off, static files collected."""
    manage(library, "collectstatic", "--no-input", "--verbosity", "0", DJANGO_DEBUG="0")
    with serve(library, DJANGO_DEBUG="0") as site:
        yield site.address


@pytest.fixture
def visitor(address):
    """Somebody whom the site has never seen."""
    return Visitor(address)


@pytest.fixture
def member(visitor):
    visitor.post_form("/accounts/login/", {"username": "librarian", "password": "library"}).raise_for_status()
    return visitor


def test_the_list_leads_to_a_book(visitor):
    link = re.search(r'href="(/books/\d+/)"[^§]*?<strong>Walden', visitor.get("/?q=walden").text)[1]
    assert "Henry David Thoreau, 1854" in visitor.get(link).text


def test_a_page_that_does_not_exist_is_djangos_404(visitor):
    assert visitor.get("/books/999/").status_code == 404


def test_a_form_without_its_csrf_token_is_refused(visitor):
    answer = visitor.post("/books/add/", data={"title": "Emma", "author": "Jane Austen", "year": "1815"})
    assert answer.status_code == 403


def test_a_book_is_added_with_a_cover_that_is_served_from_media(visitor, picture):
    book = {"title": "Emma", "author": "Jane Austen", "year": "1815", "summary": "She means well."}
    page = visitor.post_form("/books/add/", book, {"cover": ("emma.png", picture.read_bytes(), "image/png")})
    assert "“Emma” is on the shelf." in page.text
    cover = visitor.get(re.search(r'src="(/media/covers/[^"]+)"', page.text)[1])
    assert cover.content == picture.read_bytes()
    assert cover.headers["Content-Type"] == "image/png"


def test_a_static_file_with_a_hashed_name_may_be_kept_for_ever(visitor):
    style = re.search(r'href="(/static/catalogue/style\.[0-9a-f]{12}\.css)"', visitor.get("/").text)[1]
    answer = visitor.get(style)
    assert answer.headers["Content-Type"].startswith("text/css")
    assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("validator", "condition"), [("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")]
)
def test_an_unchanged_static_file_is_not_sent_again(visitor, validator, condition):
    first = visitor.get("/static/catalogue/logo.svg")
    again = visitor.get("/static/catalogue/logo.svg", headers={condition: first.headers[validator]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_a_part_of_a_static_file_may_be_asked_for(visitor):
    whole = visitor.get("/static/catalogue/logo.svg").content
    part = visitor.get("/static/catalogue/logo.svg", headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, whole[5:10])
    assert part.headers["Content-Range"] == f"bytes 5-9/{len(whole)}"


@pytest.mark.parametrize("path", ["/static/../manage.py", "/static/%2e%2e/db.sqlite3", "/media/..%2fdb.sqlite3"])
def test_nothing_outside_the_static_and_media_roots_is_served(address, path):
    # http.client sends the path as it stands; requests would tidy it up first.
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.request("GET", path)
    with connection.getresponse() as answer:
        assert answer.status in (400, 404)


def test_the_admin_is_entered_by_its_log_in_page(visitor):
    answer = visitor.post_form("/admin/login/?next=/admin/", {"username": "librarian", "password": "library"})
    assert "Site administration" in answer.text
    style = re.search(r'href="(/static/admin/css/base[^"]*\.css)"', answer.text)[1]
    assert visitor.get(style).status_code == 200


def test_reading_notes_are_refused_to_strangers(visitor):
    answer = visitor.get("/books/8/notes/", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/login/?next=/books/8/notes/")
    assert visitor.get("/protected/walden.txt").status_code == 404


def test_reading_notes_are_sent_to_members_by_the_server_itself(member, library):
    notes = (library / "notes/walden.txt").read_bytes()
    answer = member.get("/books/8/notes/")
    assert answer.content == notes
    assert answer.headers["Content-Disposition"] == 'attachment; filename="walden.txt"'
    assert "X-Accel-Redirect" not in answer.headers
    # Django's own answer knows no ranges: this one comes from the server.
    part = member.get("/books/8/notes/", headers={"Range": "bytes=0-5"})
    assert (part.status_code, part.content) == (206, notes[:6])


def test_the_catalogue_is_streamed(visitor):
    answer = visitor.get("/catalogue.csv")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert "Walden,Henry David Thoreau,1854" in answer.text.splitlines()


def test_in_development_static_files_need_no_collectstatic(library):
    with serve(library, DJANGO_DEBUG="1") as site:
        for path in ["/static/catalogue/style.css", "/static/admin/css/base.css"]:
            answer = site.get(path)
            assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


def test_the_example_passes_its_own_tests(library):
    subprocess.run([sys.executable, "manage.py", "test"], cwd=library, check=True, timeout=300)
