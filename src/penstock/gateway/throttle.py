"""Slows down who guesses passwords: so many wrong ones a minute from an address, then none are looked at.

The same wrong password again is no new guess: a program that has not heard of a change shuts nobody out. Each worker
counts for itself. Knows no passwords, only their digests.
"""

import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from math import ceil

# Seconds. Long enough to make guessing hopeless, short enough for whoever has mistyped.
WINDOW = 60
# A person tries the few passwords that they have; ten a minute are 14,400 a day, too few to find a decent one.
MOST_GUESSES = 10
# Addresses that are watched: some ten megabytes at worst. With more at once, those are forgotten that began first.
MOST_CLIENTS = 10_000


class Guesses:
    """What one client has tried since a time."""

    __slots__ = ("digests", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.digests: set[bytes] = set()


class Throttle:
    """The wrong guesses of the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.clients: dict[str, Guesses] = {}
        self.lock = threading.Lock()

    def wait(self, address: str) -> int:
        """Seconds until this client may guess again; 0 when it may now."""
        guesses = self.recent(address)
        if not guesses or len(guesses.digests) < MOST_GUESSES:
            return 0
        return max(1, ceil(guesses.since + WINDOW - self.clock()))

    def knows(self, address: str, digest: bytes) -> bool:
        """Whether this client has been told already that this is wrong."""
        guesses = self.recent(address)
        return guesses is not None and digest in guesses.digests

    def count(self, address: str, digest: bytes) -> bool:
        """Notes a wrong guess. True when it was this client's last one for now."""
        with self.lock:
            guesses = self.recent(address)
            if not guesses:
                client = client_of(address)
                # Dropped first, so that whoever began last stands last.
                self.clients.pop(client, None)
                if len(self.clients) >= MOST_CLIENTS:
                    del self.clients[next(iter(self.clients))]
                guesses = self.clients[client] = Guesses(self.clock())
            before = len(guesses.digests)
            guesses.digests.add(digest)
            return before < MOST_GUESSES <= len(guesses.digests)

    def recent(self, address: str) -> Guesses | None:
        """What is held against a client, if that is not long ago."""
        if not self.clients:
            return None
        guesses = self.clients.get(client_of(address))
        return guesses if guesses and self.clock() < guesses.since + WINDOW else None


def client_of(address: str) -> str:
    """Whom an address stands for: with IPv6, a customer's whole /64."""
    if ":" not in address:
        return address
    try:
        number = ip_address(address)
    except ValueError:
        return address
    mapped = getattr(number, "ipv4_mapped", None)
    return str(mapped) if mapped else f"{int(number) >> 64:x}/64"
