"""Snapshots and scoreboard readings for tests, in the form that the supervisor gives them."""

import math
from typing import Any

from penstock._native import Scoreboard
from penstock.admin.totals import COUNTERS

BOUNDS = [bound for bound, _ in Scoreboard(1, 1).read(0)["duration"]["buckets"]]


def histogram(*durations: float) -> dict[str, Any]:
    """The scoreboard's histogram of some durations in seconds."""
    buckets = [(bound, sum(duration <= bound for duration in durations)) for bound in BOUNDS]
    return {"sum": math.fsum(durations), "buckets": buckets}


def reading(*durations: float, **values: int) -> dict[str, Any]:
    """A slot in which only `values` and the requests' durations are not 0."""
    gauges = ("connections_open", "queue_length", "threads_started", "threads_stuck", "threads_busy")
    return {
        **dict.fromkeys((*COUNTERS, *gauges), 0),
        **values,
        "duration": histogram(*durations),
        "queue": histogram(),
        "threads": [],
    }


def worker(number: int, scoreboard: dict[str, Any], state: str = "ready") -> dict[str, Any]:
    """A worker whose process does not exist."""
    return {"number": number, "pid": None, "generation": 2, "state": state, "started": 90.0, "scoreboard": scoreboard}


def snapshot(*workers: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A supervisor that serves."""
    return {
        "version": "0.1.0",
        "pid": 100,
        "uptime": 20.0,
        "generation": 2,
        "is_ready": True,
        "is_stopping": False,
        "restarts": {"crash": 1, "reload": 2},
        "departed": {},
        "workers": list(workers),
        **values,
    }
