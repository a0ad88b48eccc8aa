"""What `penstock status` shows: the supervisor's snapshot, added up for a person. Asks and prints nothing itself."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.admin.totals import add_buckets, quantile
from penstock.processes import memory_of

if TYPE_CHECKING:
    from penstock.admin.client import Connection

Facts = dict[str, Any]

HALF_A_DAY = 43200
WIDEST = 1000  # columns of the screen: a table is as wide as what is in it, and a narrow terminal breaks its lines

# The columns of figures, which stand to the right.
NUMBERS = ("worker", "pid", "gen", "age", "requests", "busy", "queue", "memory", "restarts")


def describe(snapshot: Mapping[str, Any], earlier: Mapping[str, Any] | None = None) -> Facts:
    """The figures of all workers and of each. Requests a second are those since the `earlier` snapshot; else None."""
    durations = add_buckets(worker["scoreboard"]["duration"]["buckets"] for worker in snapshot["workers"])
    return {
        "version": snapshot["version"],
        "pid": snapshot["pid"],
        "uptime": snapshot["uptime"],
        "addresses": snapshot["addresses"],
        "is_ready": snapshot["is_ready"],
        "is_stopping": snapshot["is_stopping"],
        "generation": snapshot["generation"],
        "previous": snapshot["previous"],
        "wanted": snapshot["wanted"],
        "restarts": snapshot["restarts"],
        "queue": sum(worker["scoreboard"]["queue_length"] for worker in snapshot["workers"]),
        "requests_per_second": rate(snapshot, earlier) if earlier else None,
        "p50": quantile(durations, 0.5),
        "p99": quantile(durations, 0.99),
        "molds": [mold | {"memory": memory_of(mold["pid"])} for mold in snapshot["molds"]],
        "workers": [describe_worker(worker) for worker in snapshot["workers"]],
        "processes": [with_age(process) for process in snapshot.get("processes", ())],
        "jobs": [with_age(job) for job in snapshot.get("jobs", ())],
    }


def rate(snapshot: Mapping[str, Any], earlier: Mapping[str, Any]) -> float:
    """Requests a second between two snapshots, of the workers that are in both."""
    before = {worker["pid"]: worker["scoreboard"]["requests"] for worker in earlier["workers"]}
    both = [worker for worker in snapshot["workers"] if worker["pid"] in before]
    requests: int = sum(worker["scoreboard"]["requests"] - before[worker["pid"]] for worker in both)
    seconds: float = snapshot["uptime"] - earlier["uptime"]
    return requests / seconds if seconds > 0 else 0.0


def describe_worker(worker: Mapping[str, Any]) -> Facts:
    """One worker's row. `started` is of time.monotonic(), which all processes of a machine share."""
    scoreboard = worker["scoreboard"]
    return {
        "number": worker["number"],
        "pid": worker["pid"],
        "generation": worker["generation"],
        "state": worker["state"],
        "age": time.monotonic() - worker["started"],
        "requests": scoreboard["requests"],
        "busy": scoreboard["threads_busy"],
        "stuck": scoreboard["threads_stuck"],
        "threads": len(scoreboard["threads"]),
        "queue": scoreboard["queue_length"],
        "memory": memory_of(worker["pid"]) if worker["pid"] else 0,
    }


def with_age(companion: Mapping[str, Any]) -> Facts:
    """A process or a job with how long it has run by now; None when it does not run."""
    facts = dict(companion)
    started = facts.pop("started")
    return facts | {"age": None if started is None else time.monotonic() - started}


def columns_of_output() -> int:
    """How wide a line may be: as the terminal is, or as COLUMNS says; what a program reads is never cut."""
    import shutil  # noqa: PLC0415 (only for people)

    return shutil.get_terminal_size((WIDEST, 0)).columns


def show(facts: Facts, has_colour: bool, width: int) -> str:
    """The facts as a person reads them."""
    from rich.console import Console  # noqa: PLC0415 (only for people)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # "[v6]:port" is an address and no markup.
    console = Console(width=WIDEST, no_color=not has_colour, force_terminal=has_colour, markup=False, highlight=False)
    condition = "stopping" if facts["is_stopping"] else "ready" if facts["is_ready"] else "not ready"
    previous = f", {facts['previous']} is kept for a rollback" if facts["previous"] else ""
    restarts = ", ".join(f"{count} {reason}" for reason, count in facts["restarts"].items() if count)
    rows = [
        ("supervisor", f"Penstock {facts['version']}, pid {facts['pid']}, {condition}, up {age(facts['uptime'])}"),
        *([("address", " ".join(facts["addresses"]))] if facts["addresses"] else []),  # one of several sites has none
        ("generation", f"{facts['generation']}{previous}"),
        ("requests", f"{facts['requests_per_second']:.1f}/s, {facts['queue']} waiting"),
        ("latency", f"p50 {milliseconds(facts['p50'])}, p99 {milliseconds(facts['p99'])}"),
        ("restarts", restarts or "none"),
        *(("mold", f"generation {m['generation']}, pid {m['pid']}, {mebibytes(m['memory'])}") for m in facts["molds"]),
    ]
    heading = Table.grid(padding=(0, 2))
    for label, text in rows:
        heading.add_row(Text(label, style="dim"), text)

    def columns(*names: str) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in names:
            table.add_column(name, justify="right" if name in NUMBERS else "left", header_style="dim")
        return table

    table = columns("worker", "pid", "gen", "state", "age", "requests", "busy", "queue", "memory")
    for worker in facts["workers"]:
        stuck = f" ({worker['stuck']} stuck)" if worker["stuck"] else ""
        table.add_row(
            str(worker["number"]),
            str(worker["pid"] or ""),
            str(worker["generation"]),
            worker["state"],
            age(worker["age"]),
            str(worker["requests"]),
            f"{worker['busy']}/{worker['threads']}{stuck}",
            str(worker["queue"]),
            mebibytes(worker["memory"]),
        )
    tables = [heading, table]
    if facts["processes"]:
        tables.append(columns("process", "pid", "state", "age", "restarts", "last end"))
        for process in facts["processes"]:
            tables[-1].add_row(*process_row(process))
    if facts["jobs"]:
        tables.append(columns("job", "pid", "state", "runs", "last run", "and its end", "next run"))
        for job in facts["jobs"]:
            tables[-1].add_row(*job_row(job))
    with console.capture() as capture:
        for number, shown in enumerate(tables):
            if number:
                console.print()
            console.print(shown, width=WIDEST if number else width)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def process_row(process: Mapping[str, Any]) -> tuple[str, ...]:
    """What there is to say of a process beside the web."""
    up = "" if process["age"] is None else age(process["age"])
    pid = str(process["pid"] or "")
    return process["name"], pid, process["state"], up, str(process["restarts"]), process["ending"]


def job_row(job: Mapping[str, Any]) -> tuple[str, ...]:
    """What there is to say of a job; times are those of this machine."""
    last = job["last"]
    runs = f"{job['runs']} ({job['failures']} failed)" if job["failures"] else str(job["runs"])
    ending = ("ok" if last["is_success"] else last["ending"]) + f" in {last['seconds']:.1f} s" if last else ""
    began = moment(last["began"]) if last else ""
    return job["name"], str(job["pid"] or ""), job["state"], runs, began, ending, moment(job["next"])


def moment(seconds: float | None) -> str:
    """A time since 1970 on the clock of this machine, with the day if that is not near; "never" without one."""
    if seconds is None:
        return "never"
    is_near = abs(time.time() - seconds) < HALF_A_DAY
    return time.strftime("%H:%M:%S" if is_near else "%Y-%m-%d %H:%M", time.localtime(seconds))


def age(seconds: float) -> str:
    """A time in its two largest units."""
    whole = int(seconds)
    for size, unit, small, next_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // small}{next_unit}"
    return f"{whole}s"


def milliseconds(seconds: float) -> str:
    """A latency; a dash when there were no requests."""
    return f"{seconds * 1000:.3g} ms" if seconds else "-"


def mebibytes(size: int) -> str:
    """Memory; a dash when it is not known."""
    return f"{size / 2**20:.0f} MiB" if size else "-"


def look(connection: "Connection", pause: float) -> Facts:
    """Two snapshots with a pause between, so that there is a rate to show."""
    earlier = connection.ask("status")
    time.sleep(pause)
    return describe(connection.ask("status"), earlier)
