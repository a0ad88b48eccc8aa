"""What the machine gives to a site, as numbers. Looks once; decides nothing."""

import os
from typing import NamedTuple, Self

from penstock import capacity
from penstock.processes import memory_of


class Machine(NamedTuple):
    """Counts and bytes; 0 where the system does not say."""

    cpus: int
    memory: int  # that the site may use
    descriptors: int
    somaxconn: int
    is_root: bool
    own_memory: int  # of this process: the application, loaded

    @classmethod
    def look(cls) -> Self:
        """This machine, now."""
        somaxconn = capacity.read_text("/proc/sys/net/core/somaxconn").strip()
        return cls(
            cpus=capacity.count_cpus(),
            memory=capacity.memory_limit(capacity.read_text("/proc/self/cgroup")),
            descriptors=capacity.raise_descriptor_limit(),
            somaxconn=int(somaxconn or 0),
            is_root=os.geteuid() == 0,
            own_memory=memory_of(os.getpid()),
        )
