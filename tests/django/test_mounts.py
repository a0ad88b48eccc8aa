"""Django beside other applications: each sees its own part of the URL and answers for what is below it."""

import socket

import pytest
from running_site import CHECKOUT, PATIENCE, serve

MOUNTS = ["/shop=combined:shop", "/shop/demo=combined:demo", "/news=combined:news"]


@pytest.fixture(scope="module")
def site():
    mounts = [argument for pair in MOUNTS for argument in ("--mounts", pair)]
    with serve(CHECKOUT / "tests/apps", "django_observer", "--workers", "1", *mounts) as site:
        yield site
    # The adapter's thread must not keep the workers from sharing what was loaded.
    assert "started threads" not in site.log()


@pytest.mark.parametrize(("path", "seen"), [("/shop", "/"), ("/shop/", "/")])
def test_flask_makes_its_links_below_its_mount(site, path, seen):
    assert site.get(path).json() == {"root": "/shop", "path": seen, "link": "/shop/items/a%20b"}


def test_a_mounted_application_gets_the_rest_of_the_path_decoded(site):
    assert site.get("/shop/items/%C3%BCber%20uns").json() == {"name": "über uns"}
    assert site.get("/%73hop/items/a").json() == {"name": "a"}


def test_the_plain_wsgi_application_sees_both_parts_of_its_path(site):
    lines = site.get("/shop/demo/some/where").text.splitlines()
    assert "SCRIPT_NAME = '/shop/demo'" in lines
    assert "PATH_INFO = '/some/where'" in lines


def test_an_asgi_application_answers_below_its_mount(site):
    answers = {site.get("/news/today").text for _ in range(20)}
    assert answers == {"/news /news/today"}


@pytest.mark.parametrize(
    ("path", "word"),
    [("/shop/nothing", "The requested URL was not found on the server"), ("/shops", "<h1>Not Found</h1>")],
)
def test_each_application_answers_with_its_own_404(site, path, word):
    answer = site.get(path)
    assert answer.status_code == 404
    assert word in answer.text
    assert ("Flask" in answer.text or "manually" in answer.text) == path.startswith("/shop/")


def test_what_is_below_no_mount_is_the_projects(site):
    assert site.get("/").text == "hello"


def test_an_application_in_front_of_django_leaves_the_signals_in_pairs(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as observer:
        observer.bind(str(tmp_path / "observer"))
        observer.settimeout(PATIENCE)
        with serve(CHECKOUT / "tests/apps", "combined:front", OBSERVER=observer.getsockname()) as site:
            assert site.get("/ping").text == "pong"
            assert site.get("/stream").text == "line 0\nline 1\nline 2\n"
        assert [observer.recv(64) for _ in range(2)] == [b"started", b"finished"]


def test_django_below_a_mount_is_a_django_with_all_that_belongs_to_one(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as observer:
        observer.bind(str(tmp_path / "observer"))
        observer.settimeout(PATIENCE)
        arguments = ("flask_guestbook", "--workers", "1", "--mounts", "/site=django_wrapped_by_hand")
        with serve(CHECKOUT / "tests/apps", *arguments, OBSERVER=observer.getsockname()) as site:
            assert site.get("/").json() == {"signatures": []}
            assert site.get("/site/").text == "hello"
            assert site.wait_for(r"GET /site/: middlewares.Passes, or what it wraps, does not call close")
        assert [observer.recv(64) for _ in range(2)] == [b"started", b"finished"]
