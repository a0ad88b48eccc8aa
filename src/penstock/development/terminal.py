"""What a developer sees on the terminal: a line for each request, and what has happened to the server.

Lines are coloured on a terminal and plain in a pipe. Reads the engine's access log from a pipe; knows no HTTP.
"""

import os
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple

from penstock import log
from penstock.development.refresh import PREFIX

# Atoms of the access log, in the order of the fields of Request.
FORMAT = "%(s)s %(D)s %(B)s %(m)s %(H)s %(U)s?%(q)s"
RED, GREEN, YELLOW, CYAN, DIM, BOLD, PLAIN = (f"\x1b[{code}m" for code in ("31", "32", "33", "36", "2", "1", "0"))
WIDE_METHOD = 4


class Request(NamedTuple):
    """One answered request."""

    status: int
    microseconds: int
    size: int
    method: str
    protocol: str
    target: str

    @classmethod
    def parse(cls, line: str) -> "Request":
        """What a line of FORMAT says."""
        status, microseconds, size, method, protocol, target = line.split(" ", 5)
        return cls(int(status), int(microseconds), int(size), method, protocol, target.rstrip("\n").removesuffix("?"))


def request_line(request: Request, has_colour: bool) -> str:
    """The line for a person: what varies in width comes last."""
    line = (
        f"{request.status} {in_milliseconds(request.microseconds):>9} {in_bytes(request.size):>8}  "
        f"{request.method:{WIDE_METHOD}} {request.target}"
    )
    if not has_colour:
        return f"{line}\n"
    colour = (PLAIN, GREEN, CYAN, YELLOW, RED)[min(request.status // 100, 5) - 1]
    status, rest = line[:3], line[3:]
    numbers, gap, what = rest.partition("  " + request.method)
    return f"{colour}{status}{PLAIN}{DIM}{numbers}{PLAIN}{gap}{what}\n"


def in_milliseconds(microseconds: int) -> str:
    """A time as a person reads it."""
    milliseconds = microseconds / 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def in_bytes(size: int) -> str:
    """A size as a person reads it."""
    for unit, factor in (("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def say(text: str, colour: str = DIM) -> None:
    """A line about the server itself, on standard error."""
    sys.stderr.write(f"{colour}{text}{PLAIN}\n" if log.has_colour(2) else f"{text}\n")
    sys.stderr.flush()


class RequestLines:
    """Shows what the engine writes into a pipe. `show` is called in a thread of its own, for each request."""

    def __init__(self, show: Callable[[Request], None]) -> None:
        self.show = show
        self.reader, self.writer = os.pipe()
        self.thread = threading.Thread(target=self.run, name="request lines", daemon=True)
        self.thread.start()

    @property
    def path(self) -> str:
        """Where the engine's access log goes."""
        return f"/proc/self/fd/{self.writer}"

    def run(self) -> None:
        """Reads until close()."""
        with open(self.reader, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line == "\n":
                    return
                request = Request.parse(line)
                if not request.target.startswith(PREFIX):
                    self.show(request)

    def close(self) -> None:
        """Shows what is left. The engine has written everything by then, and keeps the pipe open."""
        os.write(self.writer, b"\n")
        self.thread.join()
        os.close(self.writer)
