"""What a tree of processes costs: CPU time, memory, and its orderly end. Reads /proc; Linux only."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 8.0
# A server has one CPU, and what makes the load another: neither takes time from the other.
SERVER_CPUS, LOAD_CPUS = {0}, {1}


def stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third one on; None when the process is gone."""
    try:
        # The second field is the name in parentheses, which may itself hold spaces and parentheses.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def tree(root: int) -> list[int]:
    """`root` and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat_fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:  # grows while it is walked
        found += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of the tree, with the children that were already waited for."""
    return sum(
        sum(map(int, fields[11:15])) / TICKS_PER_SECOND
        for pid in tree(root)
        if (fields := stat_fields(pid)) is not None
    )


def busy_seconds(cpus: set[int]) -> float:
    """How long these CPUs have done anything at all, for whomever, since boot."""
    wanted = {f"cpu{number}" for number in cpus}
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    # user nice system idle iowait irq softirq steal: all but the two that are idle.
    return sum(sum(map(int, [*line[1:4], *line[6:9]])) for line in lines if line[0] in wanted) / TICKS_PER_SECOND


def memory_bytes(root: int) -> int:
    """The tree's proportional set size: a page that n processes share counts as a n-th of itself for each."""
    total = 0
    for pid in tree(root):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


class Peak:
    """The largest figure seen while it watched."""

    def __init__(self, first: int) -> None:
        self.bytes = first


@contextmanager
def peak_memory(root: int, interval: float = 0.02) -> Iterator[Peak]:
    """Watches the tree's memory in a thread, every `interval` seconds."""
    peak, done = Peak(memory_bytes(root)), threading.Event()

    def watch() -> None:
        while not done.wait(interval):
            peak.bytes = max(peak.bytes, memory_bytes(root))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
        peak.bytes = max(peak.bytes, memory_bytes(root))


def start_on(cpus: set[int], command: list[str], **options: Any) -> subprocess.Popen[str]:
    """Starts a command that may run on `cpus` only: it inherits the affinity, so no wrapper is timed with it."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        return subprocess.Popen(command, **options)
    finally:
        os.sched_setaffinity(0, own)


def end(process: subprocess.Popen[str]) -> None:
    """Asks with TERM, then kills what is left of the tree: some peers leave their workers behind."""
    members = {pid: started(pid) for pid in tree(process.pid)[1:]}
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid, since in members.items():
        # Not another process that has got the number since.
        if since and started(pid) == since:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def started(pid: int) -> str | None:
    """When the process was started, in ticks since boot; None when it is gone."""
    fields = stat_fields(pid)
    return fields[19] if fields else None
