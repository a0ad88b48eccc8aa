"""A new Wagtail project, as `wagtail start` makes it: nothing in it is changed for Penstock."""

import re

import pytest
from running_site import Visitor, serve


@pytest.fixture(scope="module")
def address(wagtail_project):
    with serve(wagtail_project) as site:
        yield site.address


@pytest.fixture
def editor(address):
    visitor = Visitor(address)
    visitor.post_form("/admin/login/", {"username": "editor", "password": "correct-horse"}).raise_for_status()
    return visitor


def test_the_first_page_is_shown_with_its_style(address):
    visitor = Visitor(address)
    page = visitor.get("/")
    assert "Welcome to your new Wagtail site!" in page.text
    for style in re.findall(r'href="(/static/[^"]+\.css)"', page.text):
        assert visitor.get(style).headers["Content-Type"] == "text/css; charset=utf-8"


def test_an_editor_logs_in_and_sees_the_dashboard(editor):
    assert "<title>Dashboard - Wagtail</title>" in editor.get("/admin/").text


def test_an_uploaded_image_is_listed_and_its_thumbnail_served(editor, picture):
    listing = editor.post_form(
        "/admin/images/add/", {"title": "A river"}, {"file": ("river.png", picture.read_bytes(), "image/png")}
    )
    assert "A river" in listing.text
    thumbnail = editor.get(re.search(r'src="(/media/images/[^"]+)"', listing.text)[1])
    assert (thumbnail.status_code, thumbnail.headers["Content-Type"]) == (200, "image/png")


def test_djangos_own_admin_is_there_too(editor):
    assert "Site administration" in editor.get("/django-admin/").text
