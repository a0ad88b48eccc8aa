"""Penstock's own lines: one event, one line, with the time and a level. Not for the application's logging.

The lines go to one descriptor that every process inherits, opened to append: so a file may be truncated under it. As
text, only the continuation of a traceback is indented below its line; as JSON, each event is one object. The logging
package is not used unless log_config asks for it: it costs 10 ms of every start.
"""

import contextlib
import os
import time
from typing import TYPE_CHECKING

from penstock.secrets import concealed

if TYPE_CHECKING:
    from penstock.log_config import Handover

STARTED_IN = os.environ.get("TZ", "")  # the time zone, before an application is loaded
STAMP = "%Y-%m-%d %H:%M:%S %z"

LEVELS = ("debug", "info", "warning", "error")
COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31"}


class Journal:
    """Where the lines go, and from which level on."""

    def __init__(self) -> None:
        self.path = "-"
        self.fd = 2
        self.level = LEVELS.index("info")
        self.colour = False
        self.is_json = False
        self.site = ""  # the name of one of several
        self.handover: Handover | None = None  # to Python's logging

    @property
    def is_for_people(self) -> bool:
        """Whether a block of aligned lines has a place in it."""
        return not self.is_json and not self.handover

    def open(self, path: str, level: str, form: str = "text") -> None:
        """Writes to `path`, or to standard error for "-". OSError when it cannot be opened."""
        self.level = LEVELS.index(level)
        self.path = path
        self.is_json = form == "json"
        if path != "-":
            self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self.colour = has_colour(self.fd)

    def reopen(self) -> None:
        """Opens the path anew under the same descriptor, after the file was rotated; keeps the old one if it must."""
        if self.handover:
            self.handover.reopen()
        if self.path == "-":
            return
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self.write("error", f"{self.path} cannot be opened anew: {error.strerror}")
            return
        os.dup2(fd, self.fd, inheritable=False)
        os.close(fd)

    def write(self, level: str, message: str) -> None:
        """Writes one line; what `message` has after its first newline is indented below it, or stays in the JSON."""
        if LEVELS.index(level) < self.level:
            return
        message = concealed.mask(message)
        if self.handover:
            self.handover.write(level, message)
        elif self.is_json:
            self.put(json_line(level, message, time.time(), os.getpid(), self.site))
        else:
            message = f"{self.site}: {message}" if self.site else message
            shown = f"\x1b[{COLOURS[level]}m{level:7}\x1b[0m" if self.colour else f"{level:7}"
            self.put(f"{stamp(time.time())} {shown} " + message.replace("\n", "\n    ") + "\n")

    def put(self, text: str) -> None:
        """Writes text as it is, whole, so that the lines of several processes do not mix."""
        data = text.encode(errors="backslashreplace")
        # A full disk or a closed terminal must not stop the site.
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self.fd, data) :]


def stamp(now: float) -> str:
    """The time on the clock of those who started the server, in all of its processes.

    Django sets TZ to its TIME_ZONE, and the C library follows: a worker's lines would be hours off the supervisor's.
    """
    if os.environ.get("TZ", "") == STARTED_IN:
        return time.strftime(STAMP, time.localtime(now))
    from datetime import datetime  # noqa: PLC0415 (Django has loaded both already)

    from penstock.time_zone import zone_of  # noqa: PLC0415

    return datetime.fromtimestamp(now, zone_of(STARTED_IN)).strftime(STAMP)


def json_line(level: str, message: str, now: float, pid: int, site: str = "") -> str:
    """One event as an object on a line; `now` is the time in seconds since 1970."""
    import json  # noqa: PLC0415 (only with log_format json)

    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03}Z"
    named = {"site": site} if site else {}
    event = {"time": stamp, "level": level, "pid": pid, **named, "message": message}
    return json.dumps(event, ensure_ascii=False) + "\n"


def has_colour(fd: int) -> bool:
    """Colours are for terminals, and not for those who set NO_COLOR (no-color.org)."""
    return os.isatty(fd) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


journal = Journal()


def debug(message: str) -> None:
    """What only a person who looks for a fault wants to know."""
    journal.write("debug", message)


def info(message: str) -> None:
    """What happened, as it should."""
    journal.write("info", message)


def warning(message: str) -> None:
    """What somebody should look at some day."""
    journal.write("warning", message)


def error(message: str) -> None:
    """What somebody should look at now."""
    journal.write("error", message)
