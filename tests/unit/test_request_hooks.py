from wsgiref.util import FileWrapper

import pytest

from penstock.hooks import Hooks


class Streamed:
    """A response that is no list, and says when it is closed."""

    def __init__(self, told):
        self.told = told

    def __iter__(self):
        yield b"a"
        yield b"b"

    def close(self):
        self.told.append("closed")


@pytest.fixture
def told():
    return []


def around(told, application):
    hooks = Hooks(
        {
            "pre_request": lambda environ: told.append(f"before {environ['PATH_INFO']}"),
            "post_request": lambda environ, status: told.append(f"after {environ['PATH_INFO']} {status}"),
        }
    )
    return lambda: hooks.around(application)({"PATH_INFO": "/x", "wsgi.file_wrapper": FileWrapper}, lambda *_: None)


def test_nothing_is_wrapped_when_nothing_is_asked_for():
    def application(environ, start_response):
        raise AssertionError

    assert Hooks({"on_start": print}).around(application) is application


def test_a_list_goes_on_to_the_server_as_it_is(told):
    body = [b"body"]

    def application(environ, start_response):
        start_response("200 OK", [])
        return body

    assert around(told, application)() is body
    assert told == ["before /x", "after /x 200 OK"]


def test_another_response_is_followed_until_it_has_been_closed(told):
    def application(environ, start_response):
        start_response("200 OK", [])
        return Streamed(told)

    response = around(told, application)()
    assert list(response) == [b"a", b"b"]
    assert told == ["before /x"]
    response.close()
    assert told == ["before /x", "closed", "after /x 200 OK"]


def test_the_last_status_counts(told):
    def application(environ, start_response):
        start_response("200 OK", [])
        start_response("500 Oh", [], (None, None, None))
        return []

    around(told, application)()
    assert told[-1] == "after /x 500 Oh"


def test_an_application_that_raises_is_followed_too(told):
    def application(environ, start_response):
        raise LookupError

    with pytest.raises(LookupError):
        around(told, application)()
    assert told == ["before /x", "after /x "]
