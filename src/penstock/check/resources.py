"""Workers, threads and connections against what the machine has. Only compares numbers."""

from collections.abc import Iterator

from penstock import capacity
from penstock.check.findings import Finding, finding
from penstock.check.project import Project
from penstock.supervisor.limits import limits_of

MEBIBYTE = 2**20
# A worker with fewer connections than this is no server any more.
FEWEST_CONNECTIONS = 256


def check(project: Project) -> Iterator[Finding]:
    """All of them."""
    yield from memory(project)
    yield from connections(project)


def memory(project: Project) -> Iterator[Finding]:
    """Whether all workers fit. In time a worker writes to most of the memory that it shared when it was forked."""
    config, machine = project.config, project.machine
    workers = limits_of(config).most_workers
    each = config.max_memory or machine.own_memory
    if project.application and machine.memory and workers * each > machine.memory:
        allowed = "may" if config.max_memory else "is likely to"
        yield finding(
            "W506",
            f"{workers} workers, each of which {allowed} use {each // MEBIBYTE} MiB, "
            f"have {machine.memory // MEBIBYTE} MiB together",
            object=config.origin("workers"),
        )


def connections(project: Project) -> Iterator[Finding]:
    """Open files, and the queue in front of accept(2)."""
    config, machine = project.config, project.machine
    possible = capacity.max_connections(machine.descriptors)
    wanted = FEWEST_CONNECTIONS if config.max_connections == "auto" else config.max_connections
    if possible < wanted:
        yield finding(
            "W507",
            f"a worker may open {machine.descriptors} files: enough for {possible} connections, not for {wanted}",
            object=config.origin("max_connections"),
        )
    if 0 < machine.somaxconn < config.backlog:
        yield finding(
            "W508",
            f"backlog is {config.backlog}, net.core.somaxconn is {machine.somaxconn}",
            object=config.origin("backlog"),
        )
