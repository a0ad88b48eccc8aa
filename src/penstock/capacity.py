"""What the machine allows: the numbers that "auto" stands for."""

import math
import os
import resource
from collections.abc import Iterator

THREADS = 8
# More descriptors than this help nobody, and make programs slow that close them all before they start another.
MAX_DESCRIPTORS = 65536


def count_cpus() -> int:
    """CPUs that this process may use: by affinity, and by the quota of its cgroup (rounded up); at least 1."""
    allowed = len(os.sched_getaffinity(0))
    return max(1, math.ceil(min(allowed, cgroup_quota(read_text("/proc/self/cgroup")))))


def cgroup_quota(memberships: str, root: str = "/sys/fs/cgroup") -> float:
    """The least CPU quota on the way from the process's cgroup up to the root; infinite when there is none.

    `memberships` is the text of /proc/self/cgroup; each line is `id:controllers:path`, without controllers for v2.
    """
    return min((quota_of(*place) for place in cgroup_places(memberships, "cpu", root)), default=math.inf)


def cgroup_places(memberships: str, controller: str, root: str) -> Iterator[tuple[str, bool]]:
    """The directories on the way from the process's cgroup up to the root, and whether they are of version 1."""
    for line in memberships.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = os.path.join(root, controllers) if controllers else root
        while True:
            yield base + path.rstrip("/"), bool(controllers)
            if path in ("/", ""):
                break
            path = os.path.dirname(path)


def quota_of(directory: str, is_v1: bool) -> float:
    """CPUs that one cgroup's quota stands for."""
    if is_v1:
        words = [read_text(f"{directory}/cpu.cfs_quota_us"), read_text(f"{directory}/cpu.cfs_period_us")]
    else:
        words = read_text(f"{directory}/cpu.max").split()
    try:
        quota, period = (int(word) for word in words)
    except ValueError:  # "max", or no such file
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf


def memory_limit(memberships: str, root: str = "/sys/fs/cgroup") -> int:
    """Bytes of memory that the processes of a cgroup may use: by the least limit on the way up, or the machine's."""
    limits = [
        int(text)
        for place, is_v1 in cgroup_places(memberships, "memory", root)
        if (text := read_text(f"{place}/{'memory.limit_in_bytes' if is_v1 else 'memory.max'}").strip()).isdigit()
    ]
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return min([*limits, pages * size])


def read_text(path: str) -> str:
    """A small file of the system; "" when it is not there."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def raise_descriptor_limit() -> int:
    """Lifts the soft limit of open files towards the hard one. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return min(soft, MAX_DESCRIPTORS) if soft != resource.RLIM_INFINITY else MAX_DESCRIPTORS


def max_connections(descriptors: int) -> int:
    """Connections that leave an eighth of the descriptors to the application, its files and its databases."""
    return max(1, descriptors - max(64, descriptors // 8))


def temporary_directory(chosen: str) -> str:
    """Where temporary files go: the directory that was chosen, or the system's. It may be one that cannot be used."""
    import tempfile  # noqa: PLC0415 (nine modules that a supervisor does not need)

    try:
        return chosen or tempfile.gettempdir()
    except FileNotFoundError:  # on a read-only disk there is none
        return "/tmp"
