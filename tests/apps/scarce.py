"""Uses up what the process has, and gives it back."""

import os

from tester import hold

taken = []


def take(environ, start_response):
    """Every file descriptor that is left."""
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        start_response("200 OK", [])
    return [str(len(taken)).encode()]


def give_back(environ, start_response):
    """Most of them: one stays taken, so that nothing becomes easier than it was."""
    while len(taken) > 1:
        os.close(taken.pop())
    start_response("200 OK", [])
    return [b"given back"]


def length(environ, start_response):
    """How long the body is."""
    total = len(environ["wsgi.input"].read())
    start_response("200 OK", [])
    return [str(total).encode()]


def much(environ, start_response):
    """A response that has to wait in a file when it is not read."""
    start_response("200 OK", [])
    for _ in range(30):
        yield b"x" * 1_000_000


def held_and_much(environ, start_response):
    """The same as one piece, after a wait."""
    hold("held")
    start_response("200 OK", [])
    return [b"x" * 30_000_000]
