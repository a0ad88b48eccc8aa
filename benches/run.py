"""Measures Penstock and its peers side by side: `python benches/run.py`, or `make bench`.

It needs two CPUs, Linux and wrk, and the Python that Penstock is installed in; it makes the environment of the peers
itself. A run of everything takes about an hour and a half. To look at one thing while working on it:

    python benches/run.py --rows hello,minimal --servers penstock,bjoern --rounds 1 --seconds 2

A run with --servers or --quick is written to results/partial.*, any other into results/latest.*.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

import peers
import report
from loads import LoadError
from measurements import Options, Sample, in_process
from processes import LOAD_CPUS, SERVER_CPUS
from servers import APPS, SERVERS, ServerError
from verdicts import LOOP, Figures
from works import ROWS, Row


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures Penstock and its peers side by side.")
    parser.add_argument("--rows", type=names(ROWS), default=list(ROWS), help=f"of: {', '.join(ROWS)}")
    parser.add_argument("--servers", type=names(SERVERS), help=f"of: {', '.join(SERVERS)}")
    parser.add_argument("--rounds", type=int, default=3, help="how often each server is measured (default: 3)")
    parser.add_argument("--seconds", type=float, default=4, help="of each load (default: 4)")
    parser.add_argument("--quick", action="store_true", help="one round of 1 s: does it work at all?")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    return options


def names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """The type of an option that takes some of these names, separated by commas."""

    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        if wrong := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(wrong)}: not one of {', '.join(known)}")
        return chosen

    return parse


def measure_row(
    row: Row, chosen: list[str], rounds: int, options: Options, missing: dict[str, str]
) -> report.RowResult:
    """All servers in turn in each round, so that what else the machine does meets them alike."""
    samples: dict[str, list[Sample]] = {}
    failures = {name: missing[name] for name in row.servers() if name in missing and name in chosen}
    busy = round(os.getloadavg()[0], 2)
    rounds = min(rounds, row.most_rounds)
    turns = [name for name in row.servers() if name in chosen]
    loops = [in_process(row.in_process, options)] if row.in_process else []
    for turn in range(rounds):
        for name in turns:
            if name in failures:
                continue
            try:
                sample = row.measurement(SERVERS[name], options)
                if row.in_process:
                    loops.append(in_process(row.in_process, options))
                    sample |= part_of(loops[-2:], sample)
            except (LoadError, ServerError) as error:
                failures[name] = str(error)
                print(f"  {turn + 1}/{rounds} {name} failed: {error}", file=sys.stderr)
                continue
            samples.setdefault(name, []).append(sample)
            figures = ", ".join(f"{metric} {value:,.4g}" for metric, value in sample.items())
            print(f"  {turn + 1}/{rounds} {name}: {figures}", file=sys.stderr)
    samples |= {LOOP: loops} if loops else {}
    # A server that failed in one of the rounds has no median: its failure is what there is to say.
    medians = {name: median(samples[name]) for name in [LOOP, *turns] if name in samples and name not in failures}
    left_out = row.reasons() | {name: "not asked for" for name in row.servers() if name not in chosen}
    verdicts = row.judge(Figures(medians))
    return report.RowResult(row.title, rounds, options.seconds, medians, samples, failures, left_out, verdicts, busy)


def part_of(loops: list[Sample], sample: Sample) -> Sample:
    """The rate as a part of the application's own in a loop right before and right after, and the same by CPU time.

    What else the machine does comes and goes within seconds: a loop of another moment would tell more of that.
    """
    rate, cpu_us = (statistics.mean(loop[metric] for loop in loops) for metric in ("rate", "cpu_us"))
    return {"of_loop": sample["rate"] / rate, "of_loop_by_cpu": cpu_us / sample["cpu_us"]}


def median(samples: list[Sample]) -> Sample:
    """By metric; one that a round did not have (an outcome that nobody met) counts as 0 there."""
    metrics = dict.fromkeys(metric for sample in samples for metric in sample)
    return {metric: statistics.median(sample.get(metric, 0) for sample in samples) for metric in metrics}


def main() -> int:
    options = arguments()
    if (SERVER_CPUS | LOAD_CPUS) - os.sched_getaffinity(0):
        print(
            "error: the measurement needs CPU 0 for the server and CPU 1 for the load\n\n"
            "hint: run it where both are allowed (taskset -p shows what this shell may use)",
            file=sys.stderr,
        )
        return 2
    found = peers.ensure()
    versions = {name: found.versions.get(name, "not installed") for name in SERVERS if name in found.versions}
    versions |= {"nginx": report.program_version("nginx", "-v"), "wrk": report.program_version("wrk", "-v")}
    versions |= {"Django": metadata.version("Django")}
    missing = dict(found.failures)
    try:
        versions = {"penstock": metadata.version("penstock"), **versions}
    except metadata.PackageNotFoundError:
        missing["penstock"] = "not installed in this Python's environment"
    os.sched_setaffinity(0, LOAD_CPUS)
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as scratch:
        # Everything that is written on the way lands there, and leaves with it.
        tempfile.tempdir = scratch
        os.environ["BENCH_DATABASE"] = f"{scratch}/page.sqlite3"
        subprocess.run([sys.executable, "django_page.py"], cwd=APPS, check=True)
        rows = {}
        summary = ""
        for name in options.rows:
            print(f"{name}: {ROWS[name].title}", file=sys.stderr)
            chosen = options.servers or list(SERVERS)
            settings = Options(options.seconds, Path(scratch))
            rows[name] = measure_row(ROWS[name], chosen, options.rounds, settings, missing)
            # After each row: a run that is ended early keeps what it has measured.
            summary = report.save(bool(options.servers or options.quick), versions, rows, list(ROWS))
    print(summary)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
