"""Memory for all processes of a site together: a group of cgroup version 2 for each site, where one may be made.

Refuses nothing: where the system has no such groups, or has not delegated this one, it says why, and the caller does
with less. See https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

import os
from typing import NamedTuple

from penstock.capacity import read_text

OWN = "penstock"  # the group of the processes that are no site's: a group that has groups may have none itself


class Ground(NamedTuple):
    """Where groups can be made, or why they cannot."""

    directory: str
    problem: str = ""


def find_ground(memberships: str, mounts: str) -> Ground:
    """The group below which those of the sites are made, from /proc/self/cgroup and /proc/self/mountinfo."""
    path = next((line[3:] for line in memberships.splitlines() if line.startswith("0::")), "")
    # Before the dash is the fifth word the place; behind it the first one is the kind.
    halves = (line.split(" - ", 1) for line in mounts.splitlines())
    root = next((mount.split()[4] for mount, kind in halves if kind.startswith("cgroup2 ")), "")
    if not path or not root:
        return Ground("", "the system has no cgroups of version 2")
    directory = (root + path).rstrip("/")
    if os.path.basename(directory) == OWN:  # this process has been there before
        directory = os.path.dirname(directory)
    if "memory" not in read_text(f"{directory}/cgroup.controllers").split():
        return Ground("", f"{directory} has no memory controller")
    needed = (directory, f"{directory}/cgroup.procs", f"{directory}/cgroup.subtree_control")
    if not all(os.access(name, os.W_OK) for name in needed):
        return Ground("", f"{directory} is not delegated to this user")
    return Ground(directory)


def own_ground() -> Ground:
    """The ground of this process."""
    return find_ground(read_text("/proc/self/cgroup"), read_text("/proc/self/mountinfo"))


def make_group(ground: Ground, site: str, memory: int) -> str:
    """Makes the group of a site, or finds it again, and limits it to so many bytes. Returns its directory.

    Raises OSError when the system refuses. An empty group costs nothing, and goes with the one that it is in.
    """
    place = ground.directory
    os.makedirs(f"{place}/{OWN}", exist_ok=True)
    for pid in read_text(f"{place}/cgroup.procs").split():
        write(f"{place}/{OWN}/cgroup.procs", pid)
    write(f"{place}/cgroup.subtree_control", "+memory")
    group = f"{place}/site-{site}"
    os.makedirs(group, exist_ok=True)
    write(f"{group}/memory.max", str(memory))
    return group


def join(group: str) -> None:
    """Makes this process a member, and all that it starts. Raises OSError when the system refuses."""
    write(f"{group}/cgroup.procs", "0")


def write(path: str, text: str) -> None:
    """One value, in one call, as the kernel wants it."""
    with open(path, "w") as file:
        file.write(text)
