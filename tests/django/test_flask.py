"""A Flask application: nothing in Penstock is for Django only but the finding."""

import pytest
from running_site import CHECKOUT, serve


@pytest.fixture(scope="module", params=["flask_guestbook:app", "flask_guestbook", "flask_guestbook.py"])
def site(request):
    with serve(CHECKOUT / "tests/apps", request.param) as site:
        yield site


def test_a_form_is_read_and_redirects(site):
    answer = site.post("/sign", data={"name": "Grüße"})
    assert (answer.url, answer.json()) == (site.address + "/", {"signatures": ["Grüße"]})


def test_the_applications_own_refusal_reaches_the_client(site):
    assert site.post("/sign", data={"name": " "}).status_code == 400


def test_an_upload_arrives_and_the_address_is_the_clients(site, picture):
    answer = site.post("/pictures", files={"picture": ("river.png", picture.read_bytes())})
    assert answer.json() == {
        "name": "river.png",
        "size": picture.stat().st_size,
        "host": site.address.removeprefix("http://"),
        "scheme": "http",
    }


def test_a_stream_has_no_length_and_arrives_whole(site):
    answer = site.get("/stream")
    assert "Content-Length" not in answer.headers
    assert answer.text == "line 0\nline 1\nline 2\n"
