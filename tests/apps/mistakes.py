"""What an application may do wrong, one mistake each. test_wsgi_mistakes.py says what is logged for it."""

import sys

MISTAKES = {
    "status is bytes": (b"200 OK", [], [b""]),
    "status has no reason": ("200", [], [b""]),
    "status is no number": ("OK 200", [], [b""]),
    "status is too large": ("600 Much", [], [b""]),
    "status is interim": ("101 Switching Protocols", [], [b""]),
    "status splits": ("200 OK\r\nX-Injected: yes", [], [b""]),
    "status is not latin-1": ("200 \u20ac", [], [b""]),
    "headers are a tuple": ("200 OK", (), [b""]),
    "headers are None": ("200 OK", None, [b""]),
    "header is a list": ("200 OK", [["X-A", "1"]], [b""]),
    "header has three parts": ("200 OK", [("X-A", "1", "2")], [b""]),
    "header value is a number": ("200 OK", [("X-A", 1)], [b""]),
    "header name is bytes": ("200 OK", [(b"X-A", "1")], [b""]),
    "header value is bytes": ("200 OK", [("X-A", b"1")], [b""]),
    "header value is not latin-1": ("200 OK", [("X-A", "\u20ac")], [b""]),
    "header name is not ASCII": ("200 OK", [("X-\xe9", "1")], [b""]),
    "header name is empty": ("200 OK", [("", "1")], [b""]),
    "header name has a colon": ("200 OK", [("X-A:", "1")], [b""]),
    "header name has a space": ("200 OK", [("X A", "1")], [b""]),
    "header name splits": ("200 OK", [("X-A: 1\r\nX-Injected", "yes")], [b""]),
    "header value splits": ("200 OK", [("X-A", "1\r\nX-Injected: yes")], [b""]),
    "header value has a line feed": ("200 OK", [("X-A", "1\nX-Injected: yes")], [b""]),
    "header value has a carriage return": ("200 OK", [("X-A", "1\rX-Injected: yes")], [b""]),
    "header value ends in a line": ("200 OK", [("X-A", "1\r\n")], [b""]),
    "header value has a NUL": ("200 OK", [("X-A", "1\0")], [b""]),
    "length is no number": ("200 OK", [("Content-Length", "1x")], [b"1"]),
    "length is negative": ("200 OK", [("Content-Length", "-1")], [b"1"]),
    "length is larger than the list": ("200 OK", [("Content-Length", "9")], [b"1"]),
    "length is smaller than the list": ("200 OK", [("Content-Length", "1")], [b"1", b"2"]),
    "lengths differ": ("200 OK", [("Content-Length", "1"), ("content-length", "2")], [b"1"]),
    "body is None": ("200 OK", [], None),
    "body is a number": ("200 OK", [], 7),
    "body is text": ("200 OK", [], "text"),
    "body is bytes": ("200 OK", [], b"bytes"),
    "piece is text": ("200 OK", [], ["text"]),
    "piece is None": ("200 OK", [], [None]),
    "piece is a bytearray": ("200 OK", [], [bytearray(b"1")]),
    "later piece is text": ("200 OK", [], [b"1", "text"]),
    "piece of a generator is text": ("200 OK", [], map(str, [1, 2])),
}
HOP_BY_HOP = ["Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailers"]
HOP_BY_HOP += ["Transfer-Encoding", "upgrade"]
MISTAKES |= {f"hop-by-hop {name}": ("200 OK", [(name, "x")], [b""]) for name in HOP_BY_HOP}


def listed(environ, start_response):
    """The mistake that the query names."""
    status, headers, body = MISTAKES[environ["QUERY_STRING"].replace("_", " ")]
    start_response(status, headers)
    return body


def raises(environ, start_response):
    raise RuntimeError("on purpose")


def raises_with_cause(environ, start_response):
    try:
        raise KeyError("the cause")
    except KeyError as error:
        raise RuntimeError("on purpose") from error


def raises_after_start_response(environ, start_response):
    start_response("200 OK", [("X-Wrong", "yes"), ("Content-Length", "100")])
    raise RuntimeError("on purpose")


def exits(environ, start_response):
    sys.exit(3)


def is_interrupted(environ, start_response):
    raise KeyboardInterrupt


def exits_in_iteration(environ, start_response):
    start_response("200 OK", [])
    yield b""
    sys.exit(3)


def stops_iteration(environ, start_response):
    raise StopIteration


def recurses(environ, start_response):
    return recurses(environ, start_response)


def unspeakable(environ, start_response):
    """An exception that cannot even be shown."""

    class UnspeakableError(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    raise UnspeakableError


def no_start_response(environ, start_response):
    return [b"body"]


def no_start_response_and_no_body(environ, start_response):
    return []


def no_start_response_in_a_generator(environ, start_response):
    yield b"body"


def twice(environ, start_response):
    start_response("200 OK", [])
    start_response("201 Created", [])
    return [b"body"]


def twice_with_none(environ, start_response):
    start_response("200 OK", [])
    start_response("201 Created", [], None)
    return [b"body"]


def raised_again(environ, start_response):
    """Tries to turn a response that has left into an error page."""
    start_response("200 OK", [])
    yield b"one"
    try:
        raise LookupError("too late")
    except LookupError:
        start_response("500 Sorry", [], sys.exc_info())


def writes_text(environ, start_response):
    start_response("200 OK", [])("text")
    return []


def writes_too_much(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])(b"three")
    return []


def too_few_pieces(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"one"


def text_behind_the_head(environ, start_response):
    start_response("200 OK", [])
    yield b"one"
    yield "text"


def hints_too_late(environ, start_response):
    start_response("200 OK", [])
    yield b"one"
    environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])


def hints_split(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</a.css>\r\n\r\nHTTP/1.1 200 OK")])


def hints_are_no_list(environ, start_response):
    environ["wsgi.early_hints"]("Link")


kept = []


def keeps_start_response(environ, start_response):
    """Uses start_response and write() of a request that was answered before."""
    for old_start_response, old_write in kept:
        for call in (lambda: old_start_response("200 OK", []), lambda: old_write(b"late")):  # noqa: B023 called here
            try:
                call()
            except RuntimeError as error:
                print(error, file=environ["wsgi.errors"], flush=True)
    kept.append((start_response, start_response("200 OK", [])))
    return [b"kept"]


def fine(environ, start_response):
    start_response("200 OK", [])
    return [b"fine"]
