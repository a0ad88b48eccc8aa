"""Responses in each form that PEP 3333 allows, one function each; none of them is wrong. See mistakes.py for those."""

import sys

from tester import hold, tell


def one(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def pair(environ, start_response):
    start_response("200 OK", [])
    return (b"one ", b"two")


def nothing(environ, start_response):
    start_response("200 OK", [])
    return []


def echo_status(environ, start_response):
    """The status is the query, with `+` for spaces."""
    start_response(environ["QUERY_STRING"].replace("+", " "), [("X-A", "1")])
    return [b"body"]


def fields(environ, start_response):
    start_response(
        "200 OK",
        [("Set-Cookie", "a=1"), ("X-Name", "caf\xe9"), ("Set-Cookie", "b=2"), ("x-empty", ""), ("Date", "a date")],
    )
    return [b"hello"]


class Response:
    """An iterable of bytes that is no list, like those of frameworks."""

    def __init__(self, *pieces):
        self.pieces = pieces

    def __iter__(self):
        return iter(self.pieces)


def framework(environ, start_response):
    start_response("200 OK", [])
    return Response(b"one ", b"two")


def generated(environ, start_response):
    start_response("200 OK", [])
    yield b"one "
    yield b""
    yield b"two"


def generated_with_length(environ, start_response):
    start_response("200 OK", [("Content-Length", "7")])
    yield b"one "
    yield b"two"


def held_pieces(environ, start_response):
    """Makes the second piece when the test has the first."""
    start_response("200 OK", [("Content-Length", "7")] if environ["QUERY_STRING"] == "length" else [])
    yield b"one "
    hold("one has been made")
    yield b"two"


def empty_first(environ, start_response):
    """Nothing leaves for the empty pieces: the head can still be replaced."""
    start_response("200 OK", [("X-First", "yes")])
    yield b""
    yield b""
    try:
        raise ValueError("too bad")
    except ValueError:
        start_response("503 Later", [("X-Second", "yes")], sys.exc_info())
    yield b"sorry"


def late(environ, start_response):
    """A generator calls start_response when it is asked for its first piece, not before."""
    yield b""
    start_response("201 Created", [])
    yield b"late"


def all_empty(environ, start_response):
    start_response("200 OK", [])
    yield b""
    yield b""


def written(environ, start_response):
    """The write() callable; the pieces of the iterable come after what was written."""
    write = start_response("200 OK", [])
    results = [write(b"one "), write(b""), write(b"two ")]
    return [repr(results).encode()]


def written_held(environ, start_response):
    write = start_response("200 OK", [])
    write(b"one ")
    hold("one has been written")
    write(b"two")
    return []


def written_with_length(environ, start_response):
    start_response("200 OK", [("Content-Length", "7")])(b"one ")
    return [b"two"]


def replaced(environ, start_response):
    """An error before the head has left: exc_info lets a second call replace the first."""
    start_response("200 OK", [("X-First", "yes"), ("Content-Length", "1000")])
    try:
        raise ValueError("too bad")
    except ValueError:
        start_response("500 Sorry", [("X-Second", "yes")], sys.exc_info())
    return [b"sorry"]


def first_with_exc_info(environ, start_response):
    try:
        raise ValueError("too bad")
    except ValueError:
        start_response("500 Sorry", [], sys.exc_info())
    return [b"sorry"]


def none_as_exc_info(environ, start_response):
    start_response("200 OK", [], None)
    return [b"fine"]


def raised_again(environ, start_response):
    """The head has left: start_response raises what exc_info holds."""
    start_response("200 OK", [])
    yield b"one "
    try:
        raise ValueError("too bad")
    except ValueError as error:
        try:
            start_response("500 Sorry", [], sys.exc_info())
        except ValueError as again:
            tell(f"the same: {again is error}")
    yield b"two"


def hints(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload; as=style"), ("Link", "</a.js>; rel=preload")])
    hold("hinted")
    start_response("200 OK", [])
    return [b"hello"]


def two_hints(environ, start_response):
    for name in ("a", "b"):
        environ["wsgi.early_hints"]([("Link", f"</{name}.css>; rel=preload")])
    start_response("200 OK", [])
    return [b"hello"]


def many_pieces(environ, start_response):
    """As many pieces of as many bytes as the query says, each another letter."""
    count, size = map(int, environ["QUERY_STRING"].split(","))
    start_response("200 OK", [])
    for number in range(count):
        yield bytes([97 + number % 26]) * size


def held_and_large(environ, start_response):
    """Waits for the test, then makes 30 MB and tells."""
    hold("held")
    start_response("200 OK", [])
    for _ in range(30):
        yield b"x" * 1_000_000
    tell("made")


def endless(environ, start_response):
    """More than its Content-Length; tells when it is asked for more than that."""
    start_response("200 OK", [("Content-Length", "7")])
    yield b"one "
    yield b"two and more"
    tell("asked for more")
    yield b"never"


def told(environ, start_response):
    tell("told")
    return one(environ, start_response)


class Callable:
    """An application may be any callable."""

    def __call__(self, environ, start_response):
        return one(environ, start_response)


instance = Callable()
method = Callable().__call__


class Class:
    """A class is called to make the iterable, as in the PEP's example."""

    def __init__(self, _environ, start_response):
        self.start_response = start_response

    def __iter__(self):
        self.start_response("200 OK", [])
        yield b"hello"


def asks_late(environ, start_response):
    """Begins to answer, and only then reads the body."""
    start_response("200 OK", [])
    yield b"one "
    yield environ["wsgi.input"].read()


def turns(environ, start_response):
    """Megabytes of pieces, each made when the test says so."""
    start_response("200 OK", [])
    for _ in range(4):
        yield b"x" * 20_000_000
        hold("made")


def written_much(environ, start_response):
    """30 MB through write(), and a word to the test when all of them have been taken."""
    write = start_response("200 OK", [])
    for _ in range(30):
        write(b"x" * 1_000_000)
    tell("written")
    return []
