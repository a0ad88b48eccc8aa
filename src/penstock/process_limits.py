"""The limits that the system holds a site's processes to: memory, open files, priority, core dumps.

Sets them; what the supervisor itself watches (max_memory) is in supervisor/limits.py. Refuses what the system refuses.
"""

import os
import resource
from typing import NamedTuple

from penstock.config import Config
from penstock.errors import ConfigurationError
from penstock.settings import BY_NAME


class ProcessLimits(NamedTuple):
    """Bytes and counts for each process; 0: as the system has it."""

    memory: int = 0
    files: int = 0
    nice: int = 0
    core_dumps: bool = True

    def apply(self) -> None:
        """Sets them in this process, for it and all that it starts. Twice does no harm. Raises ConfigurationError."""
        if self.nice and self.nice != os.getpriority(os.PRIO_PROCESS, 0):
            try:
                os.setpriority(os.PRIO_PROCESS, 0, self.nice)
            except OSError as error:
                raise ConfigurationError(
                    f"the system refuses nice {self.nice}: {error.strerror}",
                    "only root may ask for more of the CPU than others get; 1 to 19 ask for less",
                ) from error
        self.limit(resource.RLIMIT_NOFILE, "limit_files", self.files, "LimitNOFILE= in a systemd unit")
        self.limit(resource.RLIMIT_AS, "limit_memory", self.memory, "LimitAS= in a systemd unit")
        if not self.core_dumps:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    @staticmethod
    def limit(kind: int, name: str, value: int, where: str) -> None:
        """One limit, soft and hard; 0 changes nothing."""
        if not value:
            return
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError) as error:
            most = resource.getrlimit(kind)[1]
            shown = BY_NAME[name].kind.show
            raise ConfigurationError(
                f"the system refuses {name} {shown(value)}: this process may have {shown(most)}",
                f"a lower limit, or more where Penstock is started: {where}",
            ) from error


def process_limits_of(config: Config) -> ProcessLimits:
    """The limits that a configuration sets."""
    return ProcessLimits(config.limit_memory, config.limit_files, config.nice)
