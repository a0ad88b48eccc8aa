"""How many workers the load asks for. Numbers in, a change out: no clock, no process.

It grows quickly, because people wait, and shrinks slowly, because a worker costs only memory. Between the two limits
nothing happens: so the number does not swing.
"""

from collections.abc import Collection
from typing import NamedTuple

LONG_WAIT = 0.05  # seconds that requests wait for a thread, on average: people begin to feel more
GROW_AFTER = 2  # looks in a row
SETTLE = 5  # looks after a change: a new worker has to show what it does
IDLE = 0.5  # requests in progress at a time, on average, for each worker that would remain
SHRINK_AFTER = 60  # looks in a row


class Reading(NamedTuple):
    """One worker's counters at one time."""

    requests: int = 0
    stuck: int = 0  # threads that do not come back from a request
    waited: float = 0.0  # seconds, of all requests that waited for a thread
    taken: int = 0  # requests that a thread has taken
    in_application: float = 0.0  # seconds, of all requests
    waiting: int = 0  # requests that wait now
    memory: int = 0  # PSS in bytes; 0: not read


def sums(readings: Collection[Reading]) -> Reading:
    """All workers together."""
    return Reading(*map(sum, zip(*readings, strict=True))) if readings else Reading()


class Load:
    """What the last looks have shown."""

    def __init__(self) -> None:
        self.before: Reading | None = None
        self.long = 0  # looks in a row at which requests waited for long
        self.idle = 0
        self.settle = 0

    def change(self, readings: Collection[Reading], seconds: float, workers: int) -> int:
        """1 for a worker more, -1 for one less, 0 for as many. `seconds` is the time since the last look."""
        now = sums(readings)
        before, self.before = self.before, now
        if before is None or now.requests < before.requests:  # a worker has left with its counters
            return 0
        taken = now.taken - before.taken
        waited = (now.waited - before.waited) / taken if taken else 0.0
        # Nobody is taken, and somebody waits: every thread is busy.
        is_long = waited >= LONG_WAIT or (not taken and now.waiting > 0)
        in_progress = (now.in_application - before.in_application) / seconds
        is_idle = not now.waiting and in_progress < IDLE * (workers - 1)
        self.long = self.long + 1 if is_long else 0
        self.idle = self.idle + 1 if is_idle else 0
        self.settle = max(0, self.settle - 1)
        if self.long >= GROW_AFTER and not self.settle:
            return self.changed(+1)
        if self.idle >= SHRINK_AFTER and not self.settle:
            return self.changed(-1)
        return 0

    def changed(self, change: int) -> int:
        """Begins anew after a change. A second worker less may follow sooner than the first."""
        self.long, self.idle, self.settle = 0, SHRINK_AFTER // 2 if change < 0 else 0, SETTLE
        return change
