"""What a generation's configuration says about its workers. Numbers only: the rest is for the mold."""

from typing import Any, NamedTuple

from penstock import capacity
from penstock.config import Config


class Limits(NamedTuple):
    """Counts, seconds and bytes; 0 means no limit."""

    workers: int  # at the start
    most_workers: int  # more than `workers` when the number follows the load
    graceful_timeout: float
    boot_timeout: float
    timeout: float = 0.0
    keep_previous: bool = True
    max_requests: int = 0
    max_requests_jitter: int = 0
    max_lifetime: float = 0.0
    max_memory: int = 0
    max_memory_hard: int = 0

    @property
    def is_elastic(self) -> bool:
        """Whether the number of workers follows the load."""
        return self.most_workers > self.workers

    @property
    def needs_looks(self) -> bool:
        """Whether the supervisor has to look at the workers' counters."""
        return bool(
            self.timeout
            or self.max_requests
            or self.max_lifetime
            or self.max_memory
            or self.max_memory_hard
            or self.is_elastic
        )


def limits_of(config: Config) -> Limits:
    """The limits that a configuration sets."""
    workers = capacity.count_cpus() if config.workers == "auto" else config.workers
    least, _, most = str(workers).partition("..")
    same: dict[str, Any] = {name: getattr(config, name) for name in Limits._fields[2:]}
    return Limits(int(least), int(most or least), **same)
