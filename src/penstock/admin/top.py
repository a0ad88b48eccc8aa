"""What `penstock top` shows: snapshots of the supervisor in, a page of text out. The screen is top_screen.py's."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.admin.client import Connection, find_socket
from penstock.admin.totals import add_up, quantile
from penstock.config import Config
from penstock.errors import PenstockError
from penstock.processes import memory_of

Snapshot = Mapping[str, Any]  # what Supervisor.snapshot() gives
Row = tuple[str, ...]

WORKER_COLUMNS = ("worker", "pid", "state", "generation", "age", "rate", "p50", "p99", "busy", "queue", "memory")
THREAD_COLUMNS = ("worker", "thread", "age", "request")
NOTHING = "-"
PATIENCE = 5.0  # seconds that the supervisor has to answer


class Page(NamedTuple):
    """One moment: a line about all, a row for each worker, a row for each thread that is in a request."""

    headline: str  # and one about the processes beside the web, if there are any
    workers: list[Row]
    threads: list[Row]


class Moment(NamedTuple):
    """A snapshot, when it was taken (time.monotonic()), and each worker's memory in bytes by its pid."""

    snapshot: Snapshot
    at: float
    memory: Mapping[int, int]


def page(now: Moment, before: Moment | None) -> Page:
    """The page of a moment. Rates and quantiles are of the time since `before`, or since each worker was ready."""
    earlier = {worker["pid"]: worker for worker in before.snapshot["workers"]} if before else {}
    workers = sorted(now.snapshot["workers"], key=lambda worker: worker["number"])
    return Page(
        headline(now, before),
        [worker_row(worker, earlier.get(worker["pid"]), now, before) for worker in workers],
        thread_rows(workers, now.at),
    )


def headline(now: Moment, before: Moment | None) -> str:
    """What there is to say of the whole server."""
    snapshot = now.snapshot
    total = total_of(snapshot)
    old = total_of(before.snapshot) if before else {}
    seconds = now.at - before.at if before else snapshot["uptime"]
    state = "stopping" if snapshot["is_stopping"] else "ready" if snapshot["is_ready"] else "not ready"
    buckets = fresh_buckets(total, old)
    headline = "  ".join(
        (
            f"Penstock {snapshot['version']} (pid {snapshot['pid']})",
            state,
            f"up {span(snapshot['uptime'])}",
            f"generation {snapshot['generation']}",
            f"{rate(total['requests'] - old.get('requests', 0), seconds)} requests/s",
            f"p50 {quantile_of(buckets, 0.5)}",
            f"p99 {quantile_of(buckets, 0.99)}",
        )
    )
    beside = [
        f"{one['name']} {one['state']}" + (f" {span(now.at - one['started'])}" if one["started"] else "")
        for one in (*snapshot.get("processes", ()), *(job for job in snapshot.get("jobs", ()) if job["pid"]))
    ]
    return "\n".join([headline, "beside the web: " + ", ".join(beside)] if beside else [headline])


def total_of(snapshot: Snapshot) -> dict[str, Any]:
    """What all workers counted, those that have left included."""
    return add_up([snapshot["departed"], *(worker["scoreboard"] for worker in snapshot["workers"])])


def worker_row(
    worker: Mapping[str, Any], earlier: Mapping[str, Any] | None, now: Moment, before: Moment | None
) -> Row:
    """The texts of WORKER_COLUMNS."""
    reading = worker["scoreboard"]
    old = earlier["scoreboard"] if earlier else {}
    began = before.at if before and earlier else worker["started"]
    buckets = fresh_buckets(reading, old)
    return (
        str(worker["number"]),
        str(worker["pid"] or NOTHING),
        worker["state"],
        str(worker["generation"]),
        span(now.at - worker["started"]),
        rate(reading["requests"] - old.get("requests", 0), now.at - began),
        quantile_of(buckets, 0.5),
        quantile_of(buckets, 0.99),
        f"{reading['threads_busy']}/{len(reading['threads'])}",
        str(reading["queue_length"]),
        f"{now.memory[worker['pid']] / 2**20:.0f} MiB" if now.memory.get(worker["pid"]) else NOTHING,
    )


def quantile_of(buckets: Sequence[tuple[float, int]], share: float) -> str:
    """A quantile, where there were requests."""
    return span(quantile(buckets, share)) if buckets and buckets[-1][1] else NOTHING


def fresh_buckets(reading: Mapping[str, Any], old: Mapping[str, Any]) -> list[tuple[float, int]]:
    """The durations that were observed since an older reading; of all time when it is empty."""
    buckets = reading["duration"]["buckets"]
    before = old["duration"]["buckets"] if old else []
    if not before:
        return [(bound, count) for bound, count in buckets]
    return [(bound, count - was) for (bound, count), (_, was) in zip(buckets, before, strict=True)]


def thread_rows(workers: Sequence[Mapping[str, Any]], now: float) -> list[Row]:
    """The texts of THREAD_COLUMNS, the oldest request first."""
    running = [
        (thread["started"], worker["number"], number, f"{thread['method']} {thread['path']}")
        for worker in workers
        for number, thread in enumerate(worker["scoreboard"]["threads"], 1)
        if "started" in thread
    ]
    return [
        (str(worker), str(thread), span(now - started), printable(request))
        for started, worker, thread, request in sorted(running)
    ]


def printable(text: str) -> str:
    """Text of a client, without what would steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def rate(count: int, seconds: float) -> str:
    """So many in that time, for each second."""
    return f"{count / seconds:.1f}" if seconds > 0 else NOTHING


def span(seconds: float) -> str:
    """A time as short as a person wants it."""
    if seconds < 1:
        return f"{seconds * 1000:.3g}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours < 48 else f"{hours // 24}d{hours % 24:02}h"


def plain(page: Page) -> str:
    """The page as text, for --once."""
    tables = [table(WORKER_COLUMNS, page.workers)]
    if page.threads:
        tables.append(table(THREAD_COLUMNS, page.threads))
    return "\n\n".join((page.headline, *tables)) + "\n"


def table(columns: Row, rows: list[Row]) -> str:
    """Columns that are as wide as what is in them."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in (columns, *rows))


def look(ask: Callable[[], Snapshot]) -> Moment:
    """This moment. PenstockError when the supervisor does not answer."""
    snapshot = ask()
    memory = {worker["pid"]: memory_of(worker["pid"]) for worker in snapshot["workers"] if worker["pid"]}
    return Moment(snapshot, time.monotonic(), memory)


def moments(ask: Callable[[], Snapshot]) -> Iterator[Page]:
    """A page each time it is asked for one."""
    before = None
    while True:
        now = look(ask)
        yield page(now, before)
        before = now


def watch(config: Config, once: bool, site: str = "") -> int:
    """Shows the supervisor of a project, or of one of its sites. Raises PenstockError."""
    path = find_socket(config)
    with Connection(path) as parent:
        snapshot = parent.ask("status")
    if "sites" in snapshot:
        from penstock.sites.client import control_of  # noqa: PLC0415 (only with several sites)

        path = control_of(snapshot, site)
    with Connection(path) as connection:
        connection.end.settimeout(PATIENCE)
        return show(lambda: connection.ask("status"), once)


def show(ask: Callable[[], Snapshot], once: bool) -> int:
    """Prints one page, or shows the screen until somebody leaves it. PenstockError without textual."""
    pages = moments(ask)
    if once:
        print(plain(next(pages)), end="")
        return 0
    try:
        from penstock.admin.top_screen import Screen  # noqa: PLC0415 (an extra, and 200 ms)
    except ModuleNotFoundError as error:
        raise PenstockError(
            f"penstock top needs textual: {error}",
            "install it with `pip install 'penstock[top]'`, or use `penstock top --once`",
        ) from error
    return Screen(pages).show()
