"""wsgi.file_wrapper around each kind of file. The body is always `the file's text`, or a part of it."""

import bz2
import gzip
import io
import os
from itertools import islice

from tester import tell

TEXT = b"".join(b"line %d\n" % number for number in range(20_000))


def in_memory(name, content=b""):
    """A real file, though on no disk."""
    file = os.fdopen(os.memfd_create(name), "w+b")
    file.write(content)
    file.seek(0)
    return file


def fresh():
    return in_memory("text", TEXT)


def wrapped(environ, start_response, file, *block_size, fields=()):
    start_response("200 OK", list(fields))
    return environ["wsgi.file_wrapper"](file, *block_size)


def real(environ, start_response):
    return wrapped(environ, start_response, fresh(), 100)


def without_block_size(environ, start_response):
    return wrapped(environ, start_response, fresh())


def from_position(environ, start_response):
    file = fresh()
    file.seek(70_000)
    return wrapped(environ, start_response, file)


def after_a_buffered_read(environ, start_response):
    """The buffer has read ahead: the file's position is not the descriptor's."""
    file = fresh()
    file.readline()
    return wrapped(environ, start_response, file)


def unbuffered(environ, start_response):
    file = fresh()
    return wrapped(environ, start_response, os.fdopen(os.dup(file.fileno()), "rb", buffering=0))


def at_the_end(environ, start_response):
    file = fresh()
    file.seek(0, os.SEEK_END)
    return wrapped(environ, start_response, file)


def shorter(environ, start_response):
    """Ends at Content-Length."""
    return wrapped(environ, start_response, fresh(), fields=[("Content-Length", "1000")])


def part(environ, start_response):
    file = fresh()
    file.seek(5000)
    return wrapped(environ, start_response, file, fields=[("Content-Length", "1000")])


def longer(environ, start_response):
    """Announces more than there is."""
    return wrapped(environ, start_response, fresh(), fields=[("Content-Length", "10000000")])


class Wrapping:
    """Passes on what a real file does, as Django's File does. Tells when it is closed."""

    def __init__(self, file):
        self.file = file
        self.read, self.fileno, self.tell = file.read, file.fileno, file.tell

    def close(self):
        self.file.close()
        tell("closed")


def large(environ, start_response):
    """50 MB of nothing."""
    file = in_memory("penstock-large")
    file.truncate(50_000_000)
    return wrapped(environ, start_response, Wrapping(file))


def memory(environ, start_response):
    return wrapped(environ, start_response, io.BytesIO(TEXT), 1000)


def memory_with_length(environ, start_response):
    return wrapped(environ, start_response, io.BytesIO(TEXT), fields=[("Content-Length", "1000")])


class OnlyRead:
    """The least that PEP 3333 asks for: read(size). Tells the sizes."""

    def __init__(self):
        self.pieces = iter([b"one ", b"two ", b"three"])

    def read(self, size):
        tell(str(size))
        return next(self.pieces, b"")


def only_read(environ, start_response):
    return wrapped(environ, start_response, OnlyRead(), 4321)


def pipe(environ, start_response):
    """Has a descriptor, and is no regular file."""
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    return wrapped(environ, start_response, os.fdopen(reading, "rb"))


def unpacked(environ, start_response):
    """Has a descriptor and a position, but not of the bytes that read() gives."""
    packed = in_memory("packed", gzip.compress(TEXT))
    return wrapped(environ, start_response, gzip.GzipFile(fileobj=packed))


def unpacked_with_buffer(environ, start_response):
    packed = in_memory("packed", bz2.compress(TEXT))
    return wrapped(environ, start_response, io.BufferedReader(bz2.BZ2File(packed)))


def by_middleware(environ, start_response):
    """A middleware that reads the iterable instead of passing it on."""
    return (piece.upper() for piece in real(environ, start_response))


def first_piece(environ, start_response):
    return list(islice(wrapped(environ, start_response, fresh(), 100), 1))


def after_write(environ, start_response):
    start_response("200 OK", [])(b"written ")
    return environ["wsgi.file_wrapper"](fresh())


def fails(environ, start_response):
    class Fails:
        def read(self, _size):
            raise OSError("the disk is gone")

    return wrapped(environ, start_response, Fails())
