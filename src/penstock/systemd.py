"""What systemd and Penstock tell each other: sd_notify(3), the watchdog, and sockets that are passed on.

Needs no library: both are a few variables and datagrams. Does nothing where those variables are not set, and a service
manager that does not listen stops nobody.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import NamedTuple

FIRST_FD = 3  # sd_listen_fds(3): SD_LISTEN_FDS_START
NOTICE_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
SOCKET_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Passed(NamedTuple):
    """A socket that systemd has opened, with the name that its unit gives it (FileDescriptorName=)."""

    fd: int
    name: str


class Phase(NamedTuple):
    """How far the supervisor is: what a service manager wants to know of."""

    name: str  # "starting", "ready", "reloading" or "stopping"
    generation: int  # that serves, or that is being loaded


def take_passed_sockets(environment: MutableMapping[str, str], pid: int) -> list[Passed]:
    """The sockets that are meant for this process. Nobody that it starts shall take them for its own."""
    told = {name: environment.pop(name, "") for name in SOCKET_VARIABLES}
    if told["LISTEN_PID"] != str(pid) or not told["LISTEN_FDS"].isdecimal():
        return []
    fds = range(FIRST_FD, FIRST_FD + int(told["LISTEN_FDS"]))
    for fd in fds:
        with contextlib.suppress(OSError):  # said when it is used
            os.set_inheritable(fd, False)
    names = told["LISTEN_FDNAMES"].split(":") + [""] * len(fds)
    return [Passed(fd, name) for fd, name in zip(fds, names, strict=False)]


def messages(before: Phase, after: Phase, microseconds: int) -> list[str]:
    """What is to be said when one phase follows another; `microseconds` are those of CLOCK_MONOTONIC."""
    if after == before:
        return []
    match after.name:
        case "ready":
            return ["READY=1"]
        case "reloading":
            return ["RELOADING=1", f"MONOTONIC_USEC={microseconds}"]
        case "stopping":
            return ["STOPPING=1"] if before.name != "stopping" else []
    return []


class Notifier:
    """Tells the service manager, which hears only the process that it takes for the main one."""

    def __init__(self, environment: MutableMapping[str, str], pid: int) -> None:
        told = {name: environment.pop(name, "") for name in NOTICE_VARIABLES}
        place = told["NOTIFY_SOCKET"]
        self.variables = {name: value for name, value in told.items() if value and name != "WATCHDOG_PID"}
        # "@" stands for the zero byte of an abstract socket, which no variable can hold.
        self.address = "\0" + place[1:] if place.startswith("@") else place
        watches = told["WATCHDOG_USEC"].isdecimal() and told["WATCHDOG_PID"] in ("", str(pid))
        # sd_watchdog_enabled(3) asks for a sign after half of the time.
        self.watchdog_pause = int(told["WATCHDOG_USEC"]) / 2_000_000 if watches else 0.0
        self.is_heard = bool(self.address)
        self.phase = Phase("starting", 0)
        self.status = ""

    def tell(self, phase: Phase, status: str) -> None:
        """Says what is new: the phase, and a line for `systemctl status`."""
        new = messages(self.phase, phase, time.monotonic_ns() // 1000)
        if status != self.status:
            new.append(f"STATUS={status}")
        self.phase, self.status = phase, status
        self.send(*new)

    def feed_watchdog(self, call_at: Callable[[float, Callable[[], None]], None]) -> None:
        """Says that the supervisor's loop still turns; again and again, as the loop calls at those times."""
        if self.watchdog_pause:
            self.send("WATCHDOG=1")
            call_at(time.monotonic() + self.watchdog_pause, lambda: self.feed_watchdog(call_at))

    def hand_over(self, pid: int) -> None:
        """Names the supervisor that takes over, and says nothing from now on."""
        self.send(f"MAINPID={pid}", "WATCHDOG=1")
        self.is_heard = False

    def send(self, *lines: str) -> None:
        """One datagram; lost when nobody can take it."""
        if not self.is_heard or not lines:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.setblocking(False)
            notices.sendto("\n".join(lines).encode(), self.address)
