"""Adds up what workers have counted in the scoreboard, those that have left included. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Reading = Mapping[str, Any]  # what Scoreboard.read() gives

# What the scoreboard counts upwards; the rest of a reading goes up and down.
COUNTERS = (
    "connections_accepted",
    "requests",
    "responses_1xx",
    "responses_2xx",
    "responses_3xx",
    "responses_4xx",
    "responses_5xx",
    "bytes_in",
    "bytes_out",
    "refused_by_parser",
    "timed_out",
    "rejected",
    "static_answers",
    "connections_handed",
    "connections_taken",
    "connections_held",
    "unknown_hosts",
)
HISTOGRAMS = ("duration", "queue")


class Totals:
    """What the workers that have left had counted: so a counter never goes back when a worker is replaced."""

    def __init__(self) -> None:
        self.reading: Reading = {}

    def add(self, reading: Reading) -> None:
        """Keeps the counts of a worker that has ended, before its slot is cleared."""
        self.reading = add_up([self.reading, reading])


def add_up(readings: Iterable[Reading]) -> dict[str, Any]:
    """The sums of the counters and histograms of several readings; an empty reading counts nothing."""
    filled = [reading for reading in readings if reading]
    total: dict[str, Any] = {name: sum(reading[name] for reading in filled) for name in COUNTERS}
    for name in HISTOGRAMS:
        histograms = [reading[name] for reading in filled]
        total[name] = {
            "sum": sum(histogram["sum"] for histogram in histograms),
            "buckets": add_buckets(histogram["buckets"] for histogram in histograms),
        }
    return total


def add_buckets(histograms: Iterable[Sequence[tuple[float, int]]]) -> list[tuple[float, int]]:
    """Several cumulative histograms with the same bounds as one."""
    return [(row[0][0], sum(count for _, count in row)) for row in zip(*histograms, strict=True)]


def quantile(buckets: Sequence[tuple[float, int]], share: float) -> float:
    """The time, in seconds, within which a share of the requests were done: a bound, at most a quarter too long.

    0 when there were none. What took longer than the last finite bound counts as that bound.
    """
    count = buckets[-1][1] if buckets else 0
    if not count:
        return 0.0
    wanted = share * count
    return next((bound for bound, number in buckets[:-1] if number >= wanted), buckets[-2][0])
