"""Iterables that tell when they are closed, in each way in which a response can end. None of them has a second chance:
a close() that is called twice is told twice.
"""

import os
import threading

from tester import hold, tell


class Pieces:
    """Tells when it is closed."""

    def __init__(self, pieces):
        self.pieces = iter(pieces)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.pieces)

    def close(self):
        tell("closed")


def whole(environ, start_response):
    start_response("200 OK", [])
    return Pieces([b"one ", b"two"])


def nothing(environ, start_response):
    start_response("200 OK", [])
    return Pieces([])


def with_length(environ, start_response):
    """Has all it needs before the last piece."""
    start_response("200 OK", [("Content-Length", "3")])
    return Pieces([b"one", b"two"])


def without_content(environ, start_response):
    start_response("204 No Content", [])
    return Pieces([b"one"])


def raises_first(environ, start_response):
    def pieces():
        raise RuntimeError("on purpose")
        yield b""

    start_response("200 OK", [])
    return Pieces(pieces())


def raises_later(environ, start_response):
    def pieces():
        yield b"one"
        raise RuntimeError("on purpose")

    start_response("200 OK", [])
    return Pieces(pieces())


def wrong_piece(environ, start_response):
    start_response("200 OK", [])
    return Pieces(["text"])


def not_started(environ, start_response):
    """Never called start_response."""
    return Pieces([b"one"])


def not_iterable(environ, start_response):
    class Closes:
        def close(self):
            tell("closed")

    start_response("200 OK", [])
    return Closes()


def iteration_fails_to_begin(environ, start_response):
    class Refuses(Pieces):
        def __iter__(self):
            raise RuntimeError("on purpose")

    start_response("200 OK", [])
    return Refuses([])


def announces_too_much(environ, start_response):
    start_response("200 OK", [("Content-Length", "100")])
    return Pieces([b"one"])


def close_raises(environ, start_response):
    class Raises(Pieces):
        def close(self):
            super().close()
            raise RuntimeError("on purpose, in close()")

    start_response("200 OK", [])
    return Raises([b"one ", b"two"])


def both_raise(environ, start_response):
    class Raises(Pieces):
        def __next__(self):
            raise RuntimeError("on purpose, in iteration")

        def close(self):
            super().close()
            raise RuntimeError("on purpose, in close()")

    start_response("200 OK", [])
    return Raises([])


def until_the_client_leaves(environ, start_response):
    """An endless response, of which the second piece is made when the test says so."""

    def pieces():
        yield b"one"
        hold("one has been made")
        while True:
            yield b"x" * 65536

    start_response("200 OK", [])
    return Pieces(pieces())


def written_until_the_client_leaves(environ, start_response):
    write = start_response("200 OK", [])
    write(b"one")
    hold("one has been made")
    try:
        while True:
            write(b"x" * 65536)
    finally:
        tell("closed")


def generator(environ, start_response):
    """A generator's close() runs its finally."""
    start_response("200 OK", [])
    try:
        yield b"one"
        hold("one has been made")
        while True:
            yield b"x" * 65536
    finally:
        tell("closed")


def has_nothing_more_to_say(environ, start_response):
    """Looks again and again for something to say, as a stream of events does."""

    def pieces():
        yield b"one"
        while True:
            threading.Event().wait(0.02)

    start_response("200 OK", [])
    return Pieces(pieces())


def generator_without_more_to_say(environ, start_response):
    try:
        yield from has_nothing_more_to_say(environ, start_response)
    finally:
        tell("closed in its finally")


def file(environ, start_response):
    """A file that is sent by the kernel."""

    class File:
        def __init__(self):
            self.file = os.fdopen(os.open(__file__, os.O_RDONLY), "rb")

        def __getattr__(self, name):
            return getattr(self.file, name)

        def close(self):
            self.file.close()
            tell("closed")

    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](File())


def marker(environ, start_response):
    """What was told before this belongs to the requests before it."""
    tell("marker")
    start_response("200 OK", [])
    return [b"marker"]
