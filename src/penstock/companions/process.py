"""Does what state.py decides: starts commands, reads what they say, signals them. Decides nothing itself.

A command is the leader of a session of its own, so that all it has started can be ended with it. The kernel ends it
when the supervisor goes away, however it does.
"""

import contextlib
import ctypes
import math
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

from penstock import log
from penstock.companions import state
from penstock.companions.plan import NOTHING, Command, Plan
from penstock.privileges import Identity
from penstock.processes import describe_status
from penstock.secrets import concealed
from penstock.supervisor.signals import HEARD
from penstock.supervisor.state import Log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import IO

    from penstock.supervisor.process import Supervisor

LONGEST_LINE = 16 * 1024  # bytes; a longer one becomes several
BLOCK = 64 * 1024  # bytes: what a pipe holds, unless somebody has changed that
MOST_BLOCKS = 16  # at the end of a process: who inherited its output may write for ever

libc = ctypes.CDLL(None, use_errno=True)


class Output:
    """What a command says, line by line into the log."""

    def __init__(self, supervisor: "Supervisor", name: str, end: "IO[bytes]") -> None:
        self.supervisor, self.name, self.end = supervisor, name, end
        self.rest = b""
        self.is_open = True
        os.set_blocking(end.fileno(), False)
        supervisor.watch(end, self.listen)

    def listen(self, _: int) -> None:
        """Takes what there is, and no more than a pipe holds: others want to be heard too."""
        self.read()

    def read(self) -> bool:
        """Takes what there is; whether there was anything."""
        if not self.is_open:
            return False
        try:
            data = os.read(self.end.fileno(), BLOCK)
        except BlockingIOError:
            return False
        *lines, self.rest = (self.rest + data).split(b"\n")
        while len(self.rest) > LONGEST_LINE:
            lines.append(self.rest[:LONGEST_LINE])
            self.rest = self.rest[LONGEST_LINE:]
        if not data and self.rest:
            lines.append(self.rest)
        say(self.name, lines)
        if not data:
            self.is_open = False
            self.supervisor.unwatch(self.end)
            self.end.close()
        return bool(data)

    def finish(self) -> None:
        """Takes the last words of a process that has ended."""
        blocks = 0
        while self.read() and blocks < MOST_BLOCKS:
            blocks += 1


def say(name: str, lines: "Iterable[bytes]") -> None:
    """Writes what a command has said into the log; empty lines say nothing there."""
    for line in lines:
        text = line.decode(errors="replace").rstrip()
        if text:
            log.info(f"{name}: {text}")


class Companions:
    """The processes and jobs of one site, in the supervisor's loop."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self.supervisor = supervisor
        self.texts: dict[int, str] = {}  # by generation: its plan as the mold has told it
        self.plan = NOTHING
        self.outputs: dict[int, Output] = {}  # by pid
        self.lingering: dict[int, int] = {}  # status by pid: who has ended, and others of its group have not
        self.state = state.State(self.next_run)
        self.due = math.inf

    def hear(self, generation: int, part: str) -> None:
        """A part of a generation's plan."""
        self.texts[generation] = self.texts.get(generation, "") + part

    def serve(self, generation: int, previous: int) -> None:
        """A generation serves, and with it what is beside it; the plan of `previous` is kept for a rollback."""
        self.texts = {one: text for one, text in self.texts.items() if one in (generation, previous)}
        text = self.texts.get(generation)
        self.plan = Plan.from_text(text) if text else NOTHING
        concealed.add((name, value, name in self.plan.secrets) for name, value in self.plan.environment.items())
        self.act(self.state.serve(self.plan, time.monotonic(), time.time()))

    def restart(self, name: str) -> None:
        """Ends a process and starts it again. Raises PenstockError when there is none of that name."""
        self.act(self.state.restart(name, time.monotonic(), time.time()))

    def stop(self, at_once: bool) -> None:
        """Ends them all, and tells the supervisor when they have gone."""
        self.act(self.state.stop(time.monotonic(), at_once))

    def next_run(self, cron: str, wall: float) -> float:
        """When a job is due."""
        from penstock.companions.schedule import next_run  # noqa: PLC0415 (few sites have a schedule)
        from penstock.time_zone import zone_of  # noqa: PLC0415

        return next_run(cron, wall, zone_of(self.plan.time_zone or log.STARTED_IN))

    def tell_end(self, pid: int, status: int) -> None:
        """A child of the supervisor has ended: one of these, or what one of these has left behind."""
        handle = next((handle for handle in self.state.handles if handle.pid == pid), None)
        if handle:
            self.lingering[pid] = status
            if not handle.is_leaving:
                send_signal(pid, "KILL", to_group=True)
        for leader in [leader for leader in self.lingering if not is_group(leader)]:
            output = self.outputs.pop(leader, None)
            if output:
                output.finish()
            status = self.lingering.pop(leader)
            ending = state.Ending(describe_status(status), not status)
            self.act(self.state.exited(leader, ending, time.monotonic(), time.time()))

    def wake(self, due: float) -> None:
        """Does what is due, unless an earlier call has come in between: or those would become more and more."""
        if due == self.due:
            self.due = math.inf
            self.act(self.state.tick(time.monotonic(), time.time()))

    def act(self, actions: "Sequence[state.Action]") -> None:
        """Does what was decided, in order."""
        for action in actions:
            match action:
                case state.Start(handle):
                    self.act(self.start(handle))
                case state.Signal(pid, name, to_group):
                    send_signal(pid, name, to_group)
                case Log(level, message):
                    log.journal.write(level, message)
        now = time.monotonic()
        due = self.state.next_time(now, time.time())
        if due < self.due:
            self.due = due
            self.supervisor.call_at(due, lambda: self.wake(due))
        if self.state.is_stopping and self.state.is_gone:
            self.supervisor.act(self.supervisor.state.companions_left())

    def start(self, handle: state.Handle) -> "Sequence[state.Action]":
        """Starts a command; returns what comes of it."""
        command = handle.command
        try:
            process = run(command, self.plan, self.supervisor.identity)
        except OSError as error:
            return self.state.refused(handle, reason_of(error), time.monotonic(), time.time())
        process.returncode = 0  # the loop reaps it, like everybody
        if process.stdout:
            self.outputs[process.pid] = Output(self.supervisor, command.name, process.stdout)
        return self.state.started(handle, process.pid, time.monotonic(), time.time())

    def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """For admin/status.py."""
        return {
            "processes": [handle.describe() for handle in self.state.processes.values()],
            "jobs": [handle.describe() for handle in self.state.jobs.values()],
        }


def run(command: Command, plan: Plan, identity: Identity | None) -> "subprocess.Popen[bytes]":
    """Starts a command as the site's user, in its directory, with its variables. Raises OSError."""
    parent = os.getpid()
    rights: dict[str, Any] = {}
    if identity:
        rights = {"user": identity.uid, "group": identity.gid, "extra_groups": identity.groups}
    into_log = command.output == "log"
    return subprocess.Popen(
        command.words,
        bufsize=0,
        cwd=plan.directory,
        env=plan.environment | command.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if into_log else None,
        stderr=subprocess.STDOUT if into_log else None,
        start_new_session=True,
        preexec_fn=lambda: end_with(parent),  # noqa: PLW1509 (molds and the supervisor run no threads here)
        **rights,
    )


def reason_of(error: OSError) -> str:
    """Why a command could not be started."""
    return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)


def end_with(parent: int) -> None:
    """In a new process, which is the site's user by now: has the kernel end it with its parent."""
    for number in HEARD:
        signal.signal(number, signal.SIG_DFL)
    pr_set_pdeathsig = 1
    libc.prctl(pr_set_pdeathsig, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it went before the kernel knew
        os._exit(1)


def is_group(leader: int) -> bool:
    """Whether a process of this group is still there."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def send_signal(pid: int, name: str, to_group: bool) -> None:
    """Signals a process or its group, if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if to_group else os.kill)(pid, signal.Signals["SIG" + name])
