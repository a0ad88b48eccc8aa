"""The table of metrics: every one once. The Prometheus text, StatsD and the reference page come from it.

Pure: a snapshot of the supervisor in, text out. Counts nothing itself: workers count in the scoreboard.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.admin.totals import add_up

PREFIX = "penstock"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Of the scoreboard's steps, four for each doubling, the text has one: 20 buckets a histogram instead of 83.
BUCKETS_A_DOUBLING = 4

Snapshot = Mapping[str, Any]  # what Supervisor.snapshot() gives
Values = Mapping[str, float]  # by the value of the label; by "" without a label


class Facts:
    """A snapshot, added up; `memory` is the bytes of each worker by its number."""

    def __init__(self, snapshot: Snapshot, memory: Mapping[int, int]) -> None:
        self.snapshot, self.memory = snapshot, memory
        self.living = [worker["scoreboard"] for worker in snapshot["workers"] if worker["scoreboard"]]
        self.total = add_up([snapshot["departed"], *self.living])

    def gauge(self, name: str) -> int:
        """The sum of a gauge over the workers that live."""
        return int(sum(reading[name] for reading in self.living))

    def beside(self, what: str) -> Sequence[Mapping[str, Any]]:
        """The "processes" or "jobs" beside the web."""
        found: Sequence[Mapping[str, Any]] = self.snapshot.get(what, ())
        return found


class Metric(NamedTuple):
    """One metric. A counter's name ends in _total, a unit is a base unit and stands in the name."""

    name: str  # without the prefix
    kind: str  # "counter", "gauge" or "histogram"
    help: str
    read: Callable[[Any], Any]  # of Facts: Values, or a histogram
    label: str = ""


def counter(name: str, help: str, key: str) -> Metric:
    """A counter of the scoreboard."""
    return Metric(f"{name}_total", "counter", help, lambda facts: {"": facts.total[key]})


def gauge(name: str, help: str, key: str) -> Metric:
    """A gauge of the scoreboard."""
    return Metric(name, "gauge", help, lambda facts: {"": facts.gauge(key)})


def histogram(name: str, help: str, key: str) -> Metric:
    """A histogram of the scoreboard."""
    return Metric(name, "histogram", help, lambda facts: facts.total[key])


def count_states(facts: Facts) -> Values:
    """Workers by state; a state that no worker is in is there too, so that a graph of it has no holes."""
    states = [worker["state"] for worker in facts.snapshot["workers"]]
    return {state: states.count(state) for state in sorted({"starting", "ready", "leaving", *states})}


TABLE = (
    Metric(
        "build_info",
        "gauge",
        "Always 1; the label says which version runs",
        lambda facts: {facts.snapshot["version"]: 1},
        "version",
    ),
    Metric(
        "uptime_seconds",
        "gauge",
        "Seconds since the supervisor was started",
        lambda facts: {"": facts.snapshot["uptime"]},
    ),
    Metric(
        "ready",
        "gauge",
        "1 when requests are served, else 0",
        lambda facts: {"": int(facts.snapshot["is_ready"] and not facts.snapshot["is_stopping"])},
    ),
    Metric(
        "generation",
        "gauge",
        "The generation of the application that serves; a reload makes the next one",
        lambda facts: {"": facts.snapshot["generation"]},
    ),
    Metric("workers", "gauge", "Worker processes", count_states, "state"),
    Metric(
        "worker_restarts_total",
        "counter",
        "Workers that were replaced",
        lambda facts: facts.snapshot["restarts"],
        "reason",
    ),
    Metric(
        "worker_memory_bytes",
        "gauge",
        "Memory of a worker (PSS: what is shared counts in parts)",
        lambda facts: {str(number): size for number, size in facts.memory.items()},
        "worker",
    ),
    counter("requests", "Requests whose head was read whole and is well-formed", "requests"),
    Metric(
        "responses_total",
        "counter",
        "Responses, Penstock's own included",
        lambda facts: {digit + "xx": facts.total[f"responses_{digit}xx"] for digit in "12345"},
        "class",
    ),
    histogram(
        "request_duration_seconds",
        "From a request's last byte read to the response's last byte handed over",
        "duration",
    ),
    histogram("request_queue_seconds", "The part of it that the request waited for a thread", "queue"),
    Metric(
        "requests_in_flight",
        "gauge",
        "Requests in the application or waiting for a thread",
        lambda facts: {"": facts.gauge("threads_busy") + facts.gauge("queue_length")},
    ),
    gauge("queue_length", "Requests that wait for a thread", "queue_length"),
    counter(
        "requests_refused",
        "Requests answered with 4xx or 5xx because they are malformed or too large",
        "refused_by_parser",
    ),
    counter("requests_timed_out", "Requests that did not arrive in time, answered with 408", "timed_out"),
    counter(
        "requests_rejected", "Requests answered with 503 because the queue was full or the wait too long", "rejected"
    ),
    counter("static_answers", "Requests answered from files, without the application", "static_answers"),
    gauge("threads_started", "Threads that were started", "threads_started"),
    gauge("threads_busy", "Threads in the application", "threads_busy"),
    gauge("threads_stuck", "Threads that did not come back after their deadline", "threads_stuck"),
    gauge("connections_open", "Connections of clients", "connections_open"),
    counter("connections_accepted", "Connections accepted", "connections_accepted"),
    counter("connections_handed", "Connections sent on to another site's process", "connections_handed"),
    counter("connections_taken", "Connections received from another process", "connections_taken"),
    counter("received_bytes", "Bytes read from clients, heads and framing included", "bytes_in"),
    counter("sent_bytes", "Bytes written to clients, heads and framing included", "bytes_out"),
    Metric(
        "process_up",
        "gauge",
        "1 when a process beside the web runs, else 0",
        lambda facts: {one["name"]: int(one["pid"] is not None) for one in facts.beside("processes")},
        "process",
    ),
    Metric(
        "process_restarts_total",
        "counter",
        "Times that a process beside the web was started again because it had ended by itself",
        lambda facts: {one["name"]: one["restarts"] for one in facts.beside("processes")},
        "process",
    ),
    Metric(
        "job_runs_total",
        "counter",
        "Runs of a job of the schedule that have ended",
        lambda facts: {one["name"]: one["runs"] for one in facts.beside("jobs")},
        "job",
    ),
    Metric(
        "job_failures_total",
        "counter",
        "Those of them that have failed",
        lambda facts: {one["name"]: one["failures"] for one in facts.beside("jobs")},
        "job",
    ),
)


def front_counter(name: str, help: str, key: str) -> Metric:
    """A counter of the front of several sites."""
    help = f"{help}; only with several sites"
    return Metric(f"front_{name}_total", "counter", help, lambda snapshot: {"": snapshot["front"][key]})


def site_counter(name: str, help: str, key: str) -> Metric:
    """What the front has counted for each site."""
    return Metric(
        f"site_{name}_total",
        "counter",
        f"{help}; only with several sites",
        lambda snapshot: {one["name"]: one["connections"].get(key, 0) for one in snapshot["sites"]},
        "site",
    )


# What the parent of several sites knows itself; all others have a label more there, `site`.
OF_SITES = (
    Metric(
        "site_up",
        "gauge",
        "1 when the site serves, else 0; only with several sites",
        lambda snapshot: {site["name"]: int(site["state"] == "up") for site in snapshot["sites"]},
        "site",
    ),
    Metric(
        "site_restarts_total",
        "counter",
        "Times that the site's supervisor had to be started again; only with several sites",
        lambda snapshot: {site["name"]: site["restarts"] for site in snapshot["sites"]},
        "site",
    ),
    site_counter("connections_handed", "Connections that the front has passed on to the site", "handed"),
    site_counter("connections_held", "Those of them that had to wait until the site was started", "held"),
    site_counter(
        "connections_returned", "Connections that came back, because the next request was another site's", "returned"
    ),
    site_counter(
        "connections_refused", "Requests answered with 503 because the site was down or had too much to do", "refused"
    ),
    front_counter("connections_accepted", "Connections that the front has accepted", "connections_accepted"),
    Metric(
        "front_connections_open",
        "gauge",
        "Connections that the front has not passed on yet; only with several sites",
        lambda snapshot: {"": snapshot["front"]["connections_open"]},
    ),
    front_counter("unknown_hosts", "Requests for hosts that no site has, answered with 421", "unknown_hosts"),
)


def exposition(facts: Facts) -> str:
    """The metrics in Prometheus's text format 0.0.4."""
    return as_text(line for metric in TABLE for line in metric_lines(metric, {"": metric.read(facts)}))


def exposition_of_sites(snapshot: Snapshot, sites: Mapping[str, Facts]) -> str:
    """The metrics of the parent, and those of the sites that have a supervisor."""
    own = [line for metric in OF_SITES for line in metric_lines(metric, {"": metric.read(snapshot)})]
    read = (
        line
        for metric in TABLE
        for line in metric_lines(metric, {name: metric.read(facts) for name, facts in sites.items()})
    )
    return as_text([*own, *read])


def as_text(lines: Iterable[str]) -> str:
    """The lines of an exposition."""
    return "".join(f"{line}\n" for line in lines)


def metric_lines(metric: Metric, values_of_sites: Mapping[str, Any]) -> Iterator[str]:
    """One metric: what it is, then its samples, by the site's name; "" when there is one site only."""
    name = f"{PREFIX}_{metric.name}"
    yield f"# HELP {name} {metric.help}"
    yield f"# TYPE {name} {metric.kind}"
    for site, values in values_of_sites.items():
        own = [f'site="{escape(site)}"'] if site else []
        if metric.kind == "histogram":
            yield from histogram_lines(name, values, own)
            continue
        for value, number in values.items():
            labels = [*own, *([f'{metric.label}="{escape(value)}"'] if metric.label else [])]
            yield f"{name}{between_braces(labels)} {number}"


def histogram_lines(name: str, values: Mapping[str, Any], own: list[str]) -> Iterator[str]:
    """The buckets, cumulated as they are in a reading, with the sum and the count; without workers there are none."""
    buckets: Sequence[tuple[float, int]] = values["buckets"]
    count = buckets[-1][1] if buckets else 0
    # The last two are 65.5 s, which is half a doubling, and infinity.
    for bound, number in buckets[:-2:BUCKETS_A_DOUBLING]:
        yield f"{name}_bucket{bound_labels(own, f'{bound:g}')} {number}"
    yield f"{name}_bucket{bound_labels(own, '+Inf')} {count}"
    yield f"{name}_sum{between_braces(own)} {values['sum']}"
    yield f"{name}_count{between_braces(own)} {count}"


def bound_labels(own: list[str], bound: str) -> str:
    """The labels of a bucket."""
    return between_braces([*own, f'le="{bound}"'])


def between_braces(labels: list[str]) -> str:
    """The labels of a sample."""
    return f"{{{','.join(labels)}}}" if labels else ""


def escape(value: str) -> str:
    """A label's value between quotes."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def observe(snapshot: Snapshot) -> Facts:
    """The facts of a snapshot, with what the system says of memory now."""
    from penstock.processes import memory_of  # noqa: PLC0415 (this module stays pure for those who only add up)

    memory = {worker["number"]: memory_of(worker["pid"]) for worker in snapshot["workers"] if worker["pid"]}
    return Facts(snapshot, {number: size for number, size in memory.items() if size})


def page_lines() -> Iterator[str]:
    """The lines of the reference page, for reference.py: metric by metric in the order of the table."""
    yield "`/metrics` of [`admin_bind`](settings.md) gives these in Prometheus's text format. Counters are sums over"
    yield "all workers, those that have left included: they never go back while the supervisor runs. Gauges are sums"
    yield "over the workers that live. With several sites each metric has the label `site` too. How to use them is in"
    yield "[Monitoring](../guides/monitoring.md)."
    yield ""
    yield "| name | type | label | meaning |"
    yield "|---|---|---|---|"
    for metric in (*TABLE, *OF_SITES):
        label = f"`{metric.label}`" if metric.label else ""
        yield f"| `{PREFIX}_{metric.name}` | {metric.kind} | {label} | {metric.help} |"
