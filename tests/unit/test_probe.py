import pytest

from penstock.errors import AppFailed
from penstock.probe import probe


class Body(list):
    closed = False

    def close(self):
        self.closed = True


def test_the_application_gets_a_whole_environ_and_its_answer_is_read_and_closed():
    seen, body = {}, Body([b"ok"])

    def application(environ, start_response):
        seen.update(environ)
        start_response("404 Not Found", [])
        return body

    probe(application, "/health?a=1", "shop.example")
    assert (seen["PATH_INFO"], seen["QUERY_STRING"], seen["HTTP_HOST"]) == ("/health", "a=1", "shop.example")
    assert seen["REQUEST_METHOD"] == "GET"
    assert body.closed


def test_an_error_of_the_application_fails_the_probe_with_its_traceback():
    def application(environ, start_response):
        raise KeyError("tea")

    with pytest.raises(AppFailed, match="the probe of / raised KeyError: 'tea'") as failed:
        probe(application, "/", "x")
    assert "in application" in failed.value.detail


@pytest.mark.parametrize(("status", "told"), [("500 Oh No", "500 Oh No"), ("", "no status")])
def test_a_status_of_500_and_none_at_all_fail_the_probe(status, told):
    def application(environ, start_response):
        if status:
            start_response(status, [])
        return [b""]

    with pytest.raises(AppFailed, match=f"was answered with {told}"):
        probe(application, "/", "x")
