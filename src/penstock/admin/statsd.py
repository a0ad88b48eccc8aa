"""Sends the metrics to a StatsD server: what was counted since the last time, and the gauges, over UDP.

Never waits and never fails: a packet that cannot be sent is lost, as packets are. The supervisor alone sends, so that
nothing is told twice.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from penstock import log
from penstock.admin.metrics import TABLE, Facts, Metric, observe
from penstock.admin.totals import quantile

INTERVAL = 10.0  # seconds; what StatsD itself collects before it flushes
LARGEST_PACKET = 1432  # bytes: an Ethernet frame less the headers of IPv6 and UDP
QUANTILES = {"p50": 0.5, "p99": 0.99}

Buckets = list[tuple[float, int]]


class Loop(Protocol):
    """The supervisor's loop, as far as it is needed here."""

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """Calls `callback` once, at a time of time.monotonic()."""

    def snapshot(self) -> dict[str, Any]:
        """What there is."""


class Report:
    """Turns facts into StatsD's lines. Remembers what it has told, because a counter is sent as a difference."""

    def __init__(self, prefix: str) -> None:
        self.prefix = f"{prefix}." if prefix else ""
        self.told: dict[str, float] = {}
        self.buckets: dict[str, Buckets] = {}

    def lines(self, facts: Facts) -> Iterator[str]:
        """A line for each gauge, and for each counter that has moved."""
        for metric in TABLE:
            values = metric.read(facts)
            if metric.kind == "histogram":
                yield from self.quantile_lines(metric.name, values["buckets"])
                continue
            for label, number in values.items():
                yield from self.number_lines(metric, label, number)

    def number_lines(self, metric: Metric, label: str, number: float) -> Iterator[str]:
        """The line of one number, or none."""
        # In a name a point parts; a version's stay apart from it.
        name = self.prefix + metric.name.removesuffix("_total") + (f".{label.replace('.', '_')}" if label else "")
        if metric.kind == "gauge":
            yield f"{name}:{number:.15g}|g"
            return
        difference = number - self.told.get(name, 0)
        self.told[name] = number
        if difference:
            yield f"{name}:{difference:.15g}|c"

    def quantile_lines(self, name: str, buckets: Buckets) -> Iterator[str]:
        """The quantiles of what was observed since the last time, as gauges in seconds."""
        before = self.buckets.get(name) or [(bound, 0) for bound, _ in buckets]
        self.buckets[name] = buckets
        fresh = [(bound, count - old) for (bound, count), (_, old) in zip(buckets, before, strict=True)]
        if fresh and fresh[-1][1]:
            for word, share in QUANTILES.items():
                yield f"{self.prefix}{name}.{word}:{quantile(fresh, share):.15g}|g"


def pack(lines: Iterator[str]) -> Iterator[bytes]:
    """The lines in as few packets as they fit in."""
    packet = b""
    for line in lines:
        data = line.encode()
        if packet and len(packet) + 1 + len(data) > LARGEST_PACKET:
            yield packet
            packet = b""
        packet += b"\n" + data if packet else data
    if packet:
        yield packet


class Sender:
    """Reports every ten seconds, in the supervisor's loop."""

    def __init__(self, loop: Loop, address: str, prefix: str) -> None:
        self.loop, self.address, self.report = loop, address, Report(prefix)
        self.socket: socket.socket | None = None

    def start(self) -> None:
        """Looks the host up, once, and begins. Without it the site is served all the same."""
        host, _, port = self.address.rpartition(":")
        try:
            found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
            self.socket = socket.socket(found[0], socket.SOCK_DGRAM)
            self.socket.setblocking(False)
            self.socket.connect(found[4])
        except OSError as error:
            log.warning(f"no metrics are sent: statsd {self.address} cannot be reached: {error.strerror}")
            return
        self.loop.call_at(time.monotonic() + INTERVAL, self.send)

    def send(self) -> None:
        """Sends one report, and has the loop come back for the next."""
        self.loop.call_at(time.monotonic() + INTERVAL, self.send)
        self.send_report(self.loop.snapshot())

    def finish(self) -> None:
        """Sends the last report: what was counted since the one before."""
        if self.socket:
            self.send_report(self.loop.snapshot())

    def send_report(self, snapshot: Mapping[str, Any]) -> None:
        """Sends the metrics of a snapshot."""
        assert self.socket, "send() is called after start() has made it"
        for packet in pack(self.report.lines(observe(snapshot))):
            with contextlib.suppress(OSError):
                self.socket.send(packet)
