"""The rows: which work, for which servers, measured how, and what has to be reached.

The order and the targets are those of the project's plan. A row says of each server that it leaves out why it does.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import measurements as measure
from servers import SERVERS, Setup
from verdicts import Figures, Verdict, absolute, compare, number, part_of_loop

PYTHON_PEERS = ("fastwsgi", "bjoern", "granian", "uwsgi", "gunicorn", "waitress")
WITH_ROUTER = (*PYTHON_PEERS, "uwsgi-router")
LEFT_OUT = {
    "engine": "Penstock's own, without the rest of it",
    "engine-and-bridge": "Penstock's own, without the rest of it",
    "front": "Penstock's own, for several sites",
    "nginx": "serves files, no application",
    "uwsgi-router": "its router matters where clients are slow or views are; uwsgi stands for it here",
}
NO_FILES = dict.fromkeys(("fastwsgi", "bjoern", "gunicorn", "waitress"), "serves no files")
ONE_THREAD_A_CONNECTION = "without its router it keeps no idle connections"
# Twenty paragraphs: of many small values the JSON module would be measured, the same for all.
DOCUMENT = json.dumps({"paragraphs": ["Lorem ipsum dolor sit amet. " * 18] * 20}).encode()


@dataclass(frozen=True)
class Row:
    """One piece of work."""

    name: str
    title: str
    peers: tuple[str, ...]
    measurement: measure.Measurement
    judge: Callable[[Figures], list[Verdict]]
    left_out: dict[str, str] = field(default_factory=dict)
    most_rounds: int = 100  # for what takes minutes and is compared within itself
    in_process: str = ""  # the application whose rate in a loop belongs to this row

    def servers(self) -> tuple[str, ...]:
        return ("penstock", *self.peers)

    def reasons(self) -> dict[str, str]:
        """Why each of the other servers is not measured. KeyError for one without a reason."""
        return {name: {**LEFT_OUT, **self.left_out}[name] for name in SERVERS if name not in self.servers()}


def fastest(title: str, bound: float) -> Callable[[Figures], list[Verdict]]:
    return lambda figures: [compare(title, f"≥ {bound:g} x the best peer", figures, "rate", bound=bound)]


def minimal_verdicts(figures: Figures) -> list[Verdict]:
    return [
        part_of_loop("minimal Django view", "≥ 0.84 of its rate in a loop", figures, bound=0.84),
        compare("minimal Django view", "≥ 1.05 x the best peer", figures, "rate", bound=1.05),
    ]


def bridge_verdicts(figures: Figures) -> list[Verdict]:
    title, target = "bridge to Django, nothing configured", "≤ 1.02 x the engine's CPU"
    alone, bridged = (figures.get(name, "cpu_us") for name in ("engine", "engine-and-bridge"))
    shown = number(bridged, "µs"), f"engine {number(alone, 'µs')}"
    if alone is None or bridged is None:
        return [Verdict(title, target, *shown)]
    return [Verdict(title, target, *shown, f"{bridged / alone:.2f}", bridged / alone <= 1.02)]


def few_sleepers_verdicts(figures: Figures) -> list[Verdict]:
    own_speed = 4 / 0.05
    return [
        absolute("the minimal view beside 4 sleepers", "≥ 0.95 of itself alone", figures, "kept", at_least=0.95),
        absolute("the 4 sleepers", "their own speed, 80/s", figures, "slow_rate", at_least=0.95 * own_speed),
        compare("p99 beside 4 sleepers", "≤ the best peer's", figures, "p99_ms", bound=1, unit="ms", lowest=True),
    ]


def many_sleepers_verdicts(figures: Figures) -> list[Verdict]:
    allowed = 8 / 0.05
    return [
        absolute("the minimal view beside 16 sleepers", "≥ 0.8 of itself alone", figures, "kept", at_least=0.8),
        absolute("the 16 sleepers", "≥ 0.85 of 160/s", figures, "slow_rate", at_least=0.85 * allowed),
    ]


def file_row(name: str, title: str, size: int, bound: float, connections: int = 32) -> Row:
    return Row(
        f"static-{name}",
        f"static file, {title}",
        ("nginx", "granian", "uwsgi"),
        measure.static_file(size, connections),
        lambda figures: [
            compare(f"static, {title}", f"≥ {bound:g} x nginx", figures, "rate", bound=bound, peer="nginx"),
            absolute(f"static, {title}: validators, ranges", "all right", figures, "faults", at_most=0),
        ],
        NO_FILES,
    )


def attack_row(kind: str, title: str, count: int) -> Row:
    def verdicts(figures: Figures) -> list[Verdict]:
        found = [
            absolute(f"8 clients beside {title}", "≥ 0.95 of their rate", figures, "kept", at_least=0.95),
            absolute(f"memory for {title}", "< 64 MB more", figures, "memory_mb", unit="MB", at_most=64),
        ]
        if kind != "read":
            found.append(absolute(f"the end of {title}", "408 or a close", figures, "slow: open", at_most=0))
        return found

    return Row(f"slow-{kind}", title, WITH_ROUTER, measure.attacked(kind, count), verdicts, most_rounds=1)


def overload_verdicts(figures: Figures) -> list[Verdict]:
    title = "four times too much work"
    return [
        absolute(f"{title}: 200 or 503", "all", figures, "answered", at_least=0.99),
        absolute(f"{title}: done", "what one worker can do", figures, "goodput", at_least=0.8),
        absolute(f"{title}: p99 of the 503s", "at once: ≤ 0.25 s", figures, "503_p99_s", unit="s", at_most=0.25),
        absolute(f"{title}: p99 of the 200s", "bounded: ≤ 5 s", figures, "200_p99_s", unit="s", at_most=5),
        absolute(f"{title}: normal again", "within 1 s", figures, "recovery_s", unit="s", at_most=1),
    ]


def many_sites_verdicts(figures: Figures) -> list[Verdict]:
    each = "≤ 45 MiB, as one alone"
    return [
        absolute("memory of 100 resting sites", "< 100 MiB in all", figures, "idle_mib", unit="MiB", at_most=100),
        absolute("memory of each of 20 running sites", each, figures, "each_mib", unit="MiB", at_most=45),
    ]


def front_row(kind: str, title: str, bound: float) -> Row:
    """A site behind the front beside the same site alone: a comparison of Penstock with itself."""

    def verdicts(figures: Figures) -> list[Verdict]:
        target = f"≥ {bound:g} of itself alone"
        return [absolute(f"a site behind the front, {title}", target, figures, "kept", at_least=bound)]

    return Row(
        f"front-{kind}",
        f"minimal Django view behind the front, {title}",
        (),
        measure.behind_front(kind),
        verdicts,
        dict.fromkeys(SERVERS, "a comparison of Penstock with itself"),
    )


ROWS = {
    row.name: row
    for row in (
        Row("hello", "hello world", WITH_ROUTER, measure.plain(Setup("hello")), fastest("hello world", 1.1)),
        Row(
            "minimal",
            "minimal Django view",
            WITH_ROUTER,
            measure.plain(Setup("django_minimal")),
            minimal_verdicts,
            in_process="django_minimal",
        ),
        Row(
            "bridge",
            "the same, the engine alone and with what stands between it and Django",
            ("engine", "engine-and-bridge"),
            measure.plain(Setup("django_minimal")),
            bridge_verdicts,
            dict.fromkeys((*PYTHON_PEERS, "nginx"), "a comparison of Penstock with itself"),
        ),
        Row(
            "password",
            "minimal Django view behind a password that is remembered",
            (),
            measure.with_password,
            lambda figures: [
                absolute("a remembered password", "≤ 30 µs more", figures, "more_us", unit="µs", at_most=30)
            ],
            dict.fromkeys(SERVERS, "asks for no passwords"),
        ),
        front_row("kept", "kept-alive connections", 0.97),
        front_row("new", "a connection for each request", 0.75),
        front_row("alternating", "connections that change between two sites", 0.5),
        Row(
            "page",
            "Django page: ORM query and template",
            PYTHON_PEERS,
            measure.plain(Setup("django_page")),
            lambda figures: [part_of_loop("Django page", "≥ 0.95 of its rate in a loop", figures, bound=0.95)],
            in_process="django_page",
        ),
        Row(
            "sleepers-4",
            "the minimal view while 4 clients call one that sleeps 50 ms",
            WITH_ROUTER,
            measure.beside_sleepers(4),
            few_sleepers_verdicts,
        ),
        Row(
            "sleepers-16",
            "the same with 16 such clients",
            WITH_ROUTER,
            measure.beside_sleepers(16),
            many_sleepers_verdicts,
        ),
        Row(
            "echo",
            "JSON echo, 10 KB up and down",
            PYTHON_PEERS,
            measure.plain(Setup("echo"), body=DOCUMENT, kind="application/json"),
            fastest("JSON echo, 10 KB", 1.1),
        ),
        file_row("1k", "1 KB", 1_000, 0.8),
        file_row("100k", "100 KB", 100_000, 0.9),
        file_row("10m", "10 MB", 10_000_000, 0.95, connections=8),
        Row(
            "download",
            "1 MB response",
            PYTHON_PEERS,
            measure.large(Setup("transfers"), "/1000000"),
            fastest("1 MB response", 1),
        ),
        Row(
            "upload",
            "20 MB upload, 8 connections",
            PYTHON_PEERS,
            measure.plain(Setup("transfers"), connections=8, body=b"x" * 20_000_000, kind="application/octet-stream"),
            fastest("20 MB upload", 1),
        ),
        Row(
            "idle",
            "2,000 idle connections",
            ("fastwsgi", "bjoern", "granian", "gunicorn", "waitress"),
            measure.with_idle_connections,
            lambda figures: [
                absolute(
                    "2,000 idle connections", "≤ 1,024 bytes each", figures, "bytes_each", unit="B", at_most=1024
                ),
                absolute("the active client beside them", "no loss: ≥ 0.95", figures, "kept", at_least=0.95),
            ],
            {"uwsgi": ONE_THREAD_A_CONNECTION, "uwsgi-router": "its router takes a buffer for each: another matter"},
        ),
        Row(
            "two-workers",
            "Django page, two workers; server and load share two CPUs",
            ("fastwsgi", "bjoern", "granian", "uwsgi", "gunicorn"),
            measure.with_two_workers,
            lambda figures: [absolute("two workers, Django page", "≥ 1.85 x one", figures, "speedup", at_least=1.85)],
            {"waitress": "has no workers"},
        ),
        Row(
            "rest",
            "memory at rest, minimal Django",
            PYTHON_PEERS,
            measure.at_rest,
            lambda figures: [
                absolute("memory at rest, 1 worker", "≤ 45 MB", figures, "mb_1", unit="MB", at_most=45),
                absolute("memory at rest, 4 workers", "≤ 80 MB", figures, "mb_4", unit="MB", at_most=80),
            ],
        ),
        Row(
            "many-sites",
            "memory of 100 sites on demand that rest, and of 20 running ones with the minimal Django view",
            (),
            measure.many_sites,
            many_sites_verdicts,
            dict.fromkeys(SERVERS, "has no sites that rest"),
            most_rounds=1,
        ),
        Row(
            "growth",
            "50 MB up, 50 MB down",
            PYTHON_PEERS,
            measure.transfers,
            lambda figures: [
                absolute("memory during 50 MB up", "< 4 MiB more", figures, "up_peak_mib", unit="MiB", at_most=4),
                absolute("memory during 50 MB down", "< 4 MiB more", figures, "down_peak_mib", unit="MiB", at_most=4),
            ],
        ),
        Row(
            "start",
            "first response after start, minimal Django",
            PYTHON_PEERS,
            measure.first_response,
            lambda figures: [
                absolute("first response after start", "≤ 0.2 s", figures, "seconds", unit="s", at_most=0.2)
            ],
        ),
        attack_row("head", "400 clients that trickle a head", 400),
        attack_row("body", "400 clients that trickle a body", 400),
        attack_row("read", "200 clients that read 5 MB slowly", 200),
        Row(
            "overload",
            "four times more work than one worker can do, for 10 s",
            PYTHON_PEERS,
            measure.overloaded,
            overload_verdicts,
            most_rounds=1,
        ),
    )
}
