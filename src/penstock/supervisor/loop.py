"""One loop: waits for descriptors and times, and calls back. Knows nothing of what they mean."""

import heapq
import math
import select
import time
from collections.abc import Callable
from typing import Protocol


class Source(Protocol):
    """What the loop can wait for: a socket, mostly."""

    def fileno(self) -> int:
        """Its descriptor."""

    def close(self) -> None:
        """Gives it up; also called in each process that is forked from here."""


class Loop:
    """What a supervisor waits for."""

    def __init__(self) -> None:
        self.poll = select.poll()
        self.watched: dict[int, tuple[Source, Callable[[int], None]]] = {}  # by descriptor
        self.timers: list[tuple[float, int, Callable[[], None]]] = []  # a heap: when, a number, what
        self.timers_made = 0

    def wait_until(self, due: float) -> list[tuple[int, int]]:
        """Waits for something to happen, at most until a time of time.monotonic(). Returns descriptors and events."""
        wait = min(due, self.timers[0][0] if self.timers else math.inf) - time.monotonic()
        return self.poll.poll(None if math.isinf(wait) else max(0, math.ceil(wait * 1000)))

    def call_back(self, ready: list[tuple[int, int]]) -> None:
        """Calls whoever waits for these events, or for this time."""
        for fd, events in ready:
            if fd in self.watched:
                self.watched[fd][1](events)
        self.run_timers()

    def watch(self, source: Source, callback: Callable[[int], None], events: int = select.POLLIN) -> None:
        """Has the loop call `callback` with the events of select.poll when they occur; again to wait for others."""
        self.watched[source.fileno()] = (source, callback)
        self.poll.register(source.fileno(), events)

    def unwatch(self, source: Source) -> None:
        """Ends watch(); to be called before the source is closed."""
        del self.watched[source.fileno()]
        self.poll.unregister(source.fileno())

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """Has the loop call `callback` once, at a time of time.monotonic() or soon after."""
        self.timers_made += 1
        heapq.heappush(self.timers, (when, self.timers_made, callback))

    def run_timers(self) -> None:
        """Calls what is due."""
        while self.timers and self.timers[0][0] <= time.monotonic():
            heapq.heappop(self.timers)[2]()
