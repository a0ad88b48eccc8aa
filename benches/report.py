"""The result of a run as JSON, a Markdown page and a plot. Everything in them was measured; nothing is filled in.

latest.json is the source: a run of some rows replaces those rows and keeps the others, each with its own date.
"""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from verdicts import Verdict, number

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass
class RowResult:
    """What was found for one row."""

    title: str
    rounds: int
    seconds: float
    medians: dict[str, dict[str, float]]
    samples: dict[str, list[dict[str, float]]]
    failures: dict[str, str]
    left_out: dict[str, str]
    verdicts: list[Verdict]
    busy_before: float  # the machine's load average when the row began: work of others that was going on
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))


def machine() -> dict[str, str]:
    """Where it was measured."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": f"{models[0].partition(':')[2].strip() if models else platform.machine()}, {os.cpu_count()} CPUs",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def program_version(*command: str) -> str:
    """What `nginx -v` and `wrk -v` say of themselves; "not installed" without them."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    words = (said.stderr + said.stdout).replace("/", " ").split()
    return next(word for word in words if word[0].isdigit())


def save(partial: bool, versions: dict[str, str], rows: dict[str, RowResult], order: list[str]) -> str:
    """Writes the three files of results/latest, or of results/partial, and returns the page."""
    RESULTS.mkdir(exist_ok=True)
    name = "partial" if partial else "latest"
    file = RESULTS / f"{name}.json"
    known = json.loads(file.read_text())["rows"] if file.exists() and not partial else {}
    known |= {key: asdict(row) for key, row in rows.items()}
    document = {
        "machine": machine(),
        "versions": versions,
        "rows": {key: known[key] for key in order if key in known},
    }
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    text = page(name, document)
    (RESULTS / f"{name}.md").write_text(text)
    (RESULTS / f"{name}.svg").write_text(plot(document["rows"]))
    return text


def table(heads: list[str], lines: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in [heads, ["---"] * len(heads), *lines]]


def page(name: str, document: dict[str, Any]) -> str:
    """The Markdown."""
    versions = ", ".join(f"{key} {value}" for key, value in document["versions"].items())
    where = document["machine"]
    marks = {True: "yes", False: "**no**", None: "not measured"}
    lines = [
        "# Penstock and its peers, measured side by side",
        "",
        f"{where['cpu']}; Linux {where['kernel']}; Python {where['python']}. {versions}.",
        "",
        "One worker with 8 threads on one CPU and 32 kept-alive connections from wrk on another, unless the row says",
        "otherwise; all servers in turn in each round; medians over the rounds; the rate in a loop is that right",
        "before and right after. Made by `python benches/run.py`.",
        "",
        f"![rates, each row as a part of the fastest]({name}.svg)",
        "",
        *table(
            ["work", "to reach", "Penstock", "best peer", "ratio", "reached"],
            [
                [verdict[key] for key in ("work", "target", "ours", "best_peer", "ratio")]
                + [marks[verdict["reached"]]]
                for row in document["rows"].values()
                for verdict in row["verdicts"]
            ],
        ),
    ]
    for key, row in document["rows"].items():
        metrics = list(dict.fromkeys(metric for medians in row["medians"].values() for metric in medians))
        disturbed = max((medians.get("others_share", 0) for medians in row["medians"].values()), default=0) > 0.1
        lines += [
            *("", f"## {key}: {row['title']}", ""),
            f"{row['date']}; rounds: {row['rounds']} of {row['seconds']:g} s; load before: {row['busy_before']}.",
            *(["Other programs took a part of the servers' CPU: compare cpu_us, not the rates."] if disturbed else []),
            "",
            *table(
                ["server", *metrics],
                [
                    [server, *(number(medians[metric]) if metric in medians else "-" for metric in metrics)]
                    for server, medians in row["medians"].items()
                ],
            ),
            "",
            *(f"* {server} failed: {' '.join(why.split())}" for server, why in row["failures"].items()),
            *left_out(row["left_out"]),
        ]
    return "\n".join(lines) + "\n"


def left_out(reasons: dict[str, str]) -> list[str]:
    """Who was not measured, with those of one reason on one line."""
    servers: dict[str, list[str]] = {}
    for server, why in reasons.items():
        servers.setdefault(why, []).append(server)
    return [f"* left out: {', '.join(names)} ({why})" for why, names in servers.items()]


def plot(rows: dict[str, dict[str, Any]]) -> str:
    """Bars as an SVG: for each row with a rate, every server as a part of the fastest one."""
    bars, y, left, width = [], 10, 170, 420
    for key, row in rows.items():
        rates = {server: medians["rate"] for server, medians in row["medians"].items() if "rate" in medians}
        if not any(rates.values()):
            continue
        bars.append(f'<text x="10" y="{y + 14}" font-weight="bold">{escape(key)}: {escape(row["title"])}</text>')
        y += 22
        fastest = max(rates.values())
        for server, rate in rates.items():
            colour = {"penstock": "#0b6e4f", "in-process": "#bbb"}.get(server, "#6c8ebf")
            length = width * rate / fastest
            bars.append(
                f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(server)}</text>'
                f'<rect x="{left}" y="{y}" width="{length:.1f}" height="15" fill="{colour}"/>'
                f'<text x="{left + length + 6:.1f}" y="{y + 12}">{number(rate, "/s")}</text>'
            )
            y += 19
        y += 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 110}" height="{y}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(bars)
        + "\n</svg>\n"
    )
