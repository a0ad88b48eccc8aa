"""How the processes of one `penstock serve` come apart and talk. Knows nothing of what they say."""

import ctypes
import json
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Message = dict[str, Any]

# A message is one packet, so that several processes can write to one end without mixing. Linux refuses a packet above
# net.core.wmem_default: texts are cut so that two fit into one, also when JSON needs six bytes for each character.
LARGEST_PACKET = 212_992  # bytes
LARGEST_TEXT = 16 * 1024  # characters

# Seconds after which a process that nothing happened to is waiting, and no longer starting: for forget_code().
SETTLED = 1.0

# Where a supervisor finds what an older one hands over to it; see supervisor/upgrade.py.
INHERITED = "PENSTOCK_INHERITED"


class Forked(BaseException):
    """Raised in a new process, to leave the parent's frames behind before it takes up its own role."""

    def __init__(self, role: Callable[[], int]) -> None:
        super().__init__()
        self.role = role


def play(role: Callable[[], int]) -> int:
    """Runs a role, and in each process forked from it the role that it is given. Returns the exit status."""
    while True:
        try:
            return role()
        except Forked as child:
            role = child.role


class Channel:
    """One end of a conversation in JSON messages."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end

    @classmethod
    def pair(cls) -> tuple["Channel", "Channel"]:
        """Two ends."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    def send(self, message: Message) -> bool:
        """Whether the message could be handed over; False when the other side has gone."""
        cut = {key: value[-LARGEST_TEXT:] if isinstance(value, str) else value for key, value in message.items()}
        try:
            self.end.send(json.dumps(cut).encode())
        except OSError:
            return False
        return True

    def send_with(self, message: Message, fd: int) -> None:
        """Hands a descriptor over with a message; nothing happens when the other side has gone."""
        with suppress(OSError):
            socket.send_fds(self.end, [json.dumps(message).encode()], [fd])

    def receive(self) -> Message | None:
        """Waits for a message; None when the other side has gone."""
        return self.parse(self.end.recv(LARGEST_PACKET))

    def receive_waiting(self) -> Iterator[Message | None]:
        """The messages that are there already; the last is None when the other side has gone."""
        while True:
            try:
                data = self.end.recv(LARGEST_PACKET, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            yield self.parse(data)
            if not data:
                return

    @staticmethod
    def parse(data: bytes) -> Message | None:
        """A packet's message; an empty packet is the end."""
        message: Message | None = json.loads(data) if data else None
        return message

    def close(self) -> None:
        """Gives this process's end up."""
        self.end.close()


@contextmanager
def signals_blocked() -> Iterator[set[int]]:
    """Holds signals back around a fork: a child must not run its parent's handlers, or write to its wakeup pipe.

    Yields those that are held back afterwards, too; a child adds what must wait until it listens.
    """
    before = set(signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()))
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def give_back_memory() -> None:
    """Returns what loading left free in the heap to the system: two megabytes of a Django that would be shared dirty.

    Only glibc has malloc_trim(3); without it nothing happens.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def forget_code() -> None:
    """Unmaps pages of libraries that are as they are in their files: the system has them for who needs one again.

    For a process that has begun, and waits from now on: dynamic linking alone touches three megabytes of OpenSSL. It
    takes 10 ms, which no start should pay. See madvise(2).
    """
    try:
        with open("/proc/self/smaps") as smaps:
            code = list(unwritten_code(smaps))
    except OSError:  # a kernel need not have it
        return
    madvise, dont_need = ctypes.CDLL(None).madvise, 4
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for start, size in code:
        madvise(start, size, dont_need)


def unwritten_code(smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Start and size of each mapping of /proc/PID/smaps that is a file's, cannot be written to, and never was.

    Relocated addresses lie in such mappings too: those have pages of their own (Anonymous), and must stay.
    """
    start, size = 0, 0
    for line in smaps:
        name, *words = line.split()
        if not name.endswith(":"):
            first, end = (int(address, 16) for address in name.split("-"))
            is_code = words[0] in ("r--p", "r-xp") and len(words) == 5 and words[4].startswith("/")
            start, size = first, end - first if is_code else 0
        elif name == "Anonymous:" and words[0] == "0" and size:
            yield start, size


def keep_large_blocks_apart() -> None:
    """Has glibc map each block of two megabytes or more for itself: so it returns to the system when it is freed.

    Left alone glibc raises that limit to the largest block that was freed: 200 responses of 5 MB for slow readers then
    left 130 MB of holes in the threads' arenas. See mallopt(3); without glibc nothing happens.
    """
    m_trim_threshold, m_mmap_threshold, mib = -1, -3, 1024 * 1024
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(m_mmap_threshold, 2 * mib)
        mallopt(m_trim_threshold, 4 * mib)  # setting either ends the growth of both, and this one begins small


def memory_of(pid: int) -> int:
    """The proportional set size of a process in bytes: shared pages count in equal parts. 0 when nobody may know."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:")), 0)
    except OSError:
        return 0


def become_subreaper() -> None:
    """Makes orphans among our descendants our children: PR_SET_CHILD_SUBREAPER of prctl(2)."""
    pr_set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "the system refuses prctl(PR_SET_CHILD_SUBREAPER)")


def end_with_parent() -> None:
    """Asks the kernel for a TERM when the parent ends, however it does: PR_SET_PDEATHSIG of prctl(2)."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGTERM), 0, 0, 0)


def reap() -> list[tuple[int, int]]:
    """The children that have ended: pid and status."""
    ended = []
    with suppress(ChildProcessError):
        while (child := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            ended.append(child)
    return ended


def send_signal(pid: int, number: int) -> None:
    """Signals a child, which may have ended just now."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def describe_status(status: int) -> str:
    """How a process ended, from what waitpid() says."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        # Nobody else sends KILL unasked.
        reason = " (out of memory, perhaps: see dmesg)" if number == signal.SIGKILL else ""
        # Most real-time signals have no name.
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return f"was killed by {name}{reason}"
    return f"exited with status {os.waitstatus_to_exitcode(status)}"
