"""The supervisor's signals, as a queue that its loop reads. A handler does nothing but enqueue."""

import contextlib
import os
import signal
from types import FrameType

HEARD = (
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)


class SignalQueue:
    """Collects the numbers of the signals that arrive, in order."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        for fd in (self.reader, self.writer):
            os.set_blocking(fd, False)
        # Python's C handler writes the number; a Python handler must exist for that, and has nothing left to do.
        signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
        for number in HEARD:
            signal.signal(number, do_nothing)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)  # one may have been held back: see sites/world.py

    def fileno(self) -> int:
        """Readable when a signal has arrived."""
        return self.reader

    def read(self) -> list[int]:
        """The signals since the last call."""
        with contextlib.suppress(BlockingIOError):
            return list(os.read(self.reader, 4096))
        return []

    def close(self) -> None:
        """Restores the system's defaults: at the end, and in a child."""
        signal.set_wakeup_fd(-1)
        for number in HEARD:
            signal.signal(number, signal.SIG_DFL)
        os.close(self.reader)
        os.close(self.writer)


def do_nothing(number: int, frame: FrameType | None) -> None:
    """A handler, and not SIG_IGN, which programs that are started from here would inherit."""
