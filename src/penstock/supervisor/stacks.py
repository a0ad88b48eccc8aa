"""Asks workers where each of their Python threads is, also one whose GIL is held for ever. Stops nobody.

A signal makes the worker's faulthandler write all stacks, from C and without the GIL, into memory that it shares with
the supervisor. Nothing says when it has finished: so one worker is asked at a time, until its text grows no more.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from penstock.errors import PenstockError

# A real-time signal, because applications use those least.
SIGNAL = signal.SIGRTMIN + 1
QUIET = 0.05  # seconds without growth: faulthandler writes a stack in microseconds
PATIENCE = 2.0  # seconds for one worker: the kernel delivers a signal also to one that is busy

Texts = dict[int, str]  # by pid


class Timers(Protocol):
    """The part of the supervisor's loop that is needed here."""

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """Calls back once, at a time of time.monotonic() or soon after."""


class Stacks:
    """The memory, and the round of questions in progress."""

    def __init__(self, loop: Timers) -> None:
        self.loop = loop
        self.fd = os.memfd_create("penstock-stacks")
        self.pids: list[int] = []
        self.texts: Texts = {}
        self.on_done: Callable[[Texts], None] | None = None
        self.size = 0
        self.until = 0.0

    def collect(self, pids: Sequence[int], on_done: Callable[[Texts], None]) -> None:
        """Asks each process, and calls back with their texts. PenstockError while others are being asked."""
        if self.on_done:
            raise PenstockError("the stacks are being read for somebody else", "ask again in a moment")
        self.pids, self.texts, self.on_done = list(pids), {}, on_done
        self.ask()

    def ask(self) -> None:
        """Goes on to the next process that is still there."""
        while self.pids:
            os.ftruncate(self.fd, 0)
            os.lseek(self.fd, 0, os.SEEK_SET)
            self.size, self.until = 0, time.monotonic() + PATIENCE
            try:
                os.kill(self.pids[0], SIGNAL)
            except ProcessLookupError:
                self.pids.pop(0)
                continue
            self.loop.call_at(time.monotonic() + QUIET, self.look)
            return
        on_done, self.on_done = self.on_done, None
        assert on_done is not None, "somebody has asked"
        on_done(self.texts)

    def look(self) -> None:
        """Takes the text when it has stopped growing."""
        before, self.size = self.size, os.fstat(self.fd).st_size
        now = time.monotonic()
        if (self.size == 0 or self.size != before) and now < self.until:
            self.loop.call_at(now + QUIET, self.look)
            return
        self.texts[self.pids.pop(0)] = os.pread(self.fd, self.size, 0).decode(errors="replace")
        self.ask()
