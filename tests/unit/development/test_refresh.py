"""Which pages get the script, and that no response is harmed by it."""

import json
import threading

import pytest

from penstock.development.refresh import Refresh

PAGE = b"<html><body>words</body></html>"
HTML = ("Content-Type", "text/html; charset=utf-8")
BROWSER = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/",
    "HTTP_ACCEPT": "text/html,*/*",
    "HTTP_SEC_FETCH_DEST": "document",
}


class Response(list):
    """A body that knows whether it was closed."""

    closed = 0

    def close(self):
        self.closed += 1


class Sent:
    """What a server has been given."""

    def __init__(self, application, environ):
        self.heads, self.written = [], []
        body = application(dict(environ), self.start_response)
        self.body = b"".join(body)
        if hasattr(body, "close"):
            body.close()

    def start_response(self, status, headers, _exc_info=None):
        self.heads.append((status, dict(headers)))
        return self.written.append

    @property
    def headers(self):
        [(_, headers)] = self.heads
        return headers


def ask(application, environ=BROWSER):
    return Sent(Refresh(can_wait=True).around(application), environ)


def answering(body, *headers):
    def application(_environ, start_response):
        start_response("200 OK", [*headers])
        return body

    return application


def test_a_page_gets_the_script_before_its_end_and_the_right_length():
    body = Response([PAGE[:10], PAGE[10:]])
    sent = ask(answering(body, HTML, ("Content-Length", str(len(PAGE)))))
    assert b'words<script src="/.penstock/refresh.js"' in sent.body
    assert sent.body.endswith(b"</script></body></html>")
    assert sent.headers["Content-Length"] == str(len(sent.body))
    assert body.closed == 1


@pytest.mark.parametrize(
    "header",
    [
        ("Content-Encoding", "gzip"),
        ("Content-Security-Policy", "default-src 'self'"),
        ("content-security-policy-report-only", "default-src 'self'"),
        ("Content-Disposition", "attachment"),
    ],
)
def test_a_page_that_must_not_be_changed_is_left_alone(header):
    sent = ask(answering([PAGE], HTML, header))
    assert sent.body == PAGE
    assert sent.headers == dict([HTML, header])


def test_what_is_no_html_is_left_alone():
    assert ask(answering([PAGE], ("Content-Type", "text/plain"))).body == PAGE


def test_a_part_of_a_page_is_left_alone():
    sent = ask(answering([b"<p>words</p>"], HTML, ("Content-Length", "12")))
    assert (sent.body, sent.headers["Content-Length"]) == (b"<p>words</p>", "12")


@pytest.mark.parametrize(
    "change",
    [{"REQUEST_METHOD": "POST"}, {"REQUEST_METHOD": "HEAD"}, {"HTTP_ACCEPT": "*/*"}, {"HTTP_SEC_FETCH_DEST": "empty"}],
    ids=str,
)
def test_a_request_that_is_no_visit_of_a_page_is_left_alone(change):
    assert ask(answering([PAGE], HTML), BROWSER | change).body == PAGE


def test_a_stream_is_passed_on_piece_by_piece():
    def pieces():
        yield PAGE

    stream = pieces()
    application = Refresh(can_wait=True).around(answering(stream, HTML))
    assert application(dict(BROWSER), lambda *_: None) is stream


def test_what_is_written_goes_out_as_it_comes():
    def application(_environ, start_response):
        write = start_response("200 OK", [HTML])
        write(b"<body>")
        write(b"words")
        return [b"</body>"]

    sent = ask(application)
    assert (sent.written, sent.body) == ([b"<body>", b"words"], b"</body>")
    assert len(sent.heads) == 1


def test_an_error_page_that_replaces_a_page_is_sent_with_its_own_head():
    def application(_environ, start_response):
        start_response("200 OK", [HTML])
        start_response("500 Oh", [HTML], (ValueError, ValueError(), None))
        return [PAGE]

    sent = ask(application)
    assert [status for status, _ in sent.heads] == ["500 Oh"]
    assert sent.body == PAGE


def question(refresh, since):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/.penstock/version", "QUERY_STRING": f"since={since}"}
    return json.loads(Sent(refresh.around(answering([], HTML)), environ).body)


def test_a_page_that_is_behind_is_told_at_once():
    refresh = Refresh(can_wait=True)
    assert question(refresh, "older") == {"version": refresh.version, "pause": 0}


def test_a_page_that_waits_is_told_of_the_change():
    refresh = Refresh(can_wait=True)
    before, answers = refresh.version, []
    asking = threading.Thread(target=lambda: answers.append(question(refresh, before)))
    asking.start()
    refresh.tell()  # before it has asked, or after: it is told either way
    asking.join(60)
    assert answers == [{"version": refresh.version, "pause": 0}]
    assert refresh.version != before


def test_with_one_thread_nobody_waits():
    refresh = Refresh(can_wait=False)
    assert question(refresh, refresh.version)["pause"] > 0


def test_the_script_is_served():
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/.penstock/refresh.js"}
    sent = ask(answering([], HTML), environ)
    assert sent.headers["Content-Type"].startswith("text/javascript")
    assert sent.headers["Content-Length"] == str(len(sent.body))
