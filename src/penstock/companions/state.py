"""What should be done about a site's processes and jobs next. Events and the time in, actions out: no fork, no clock.

`now` is of time.monotonic(), `wall` in seconds since 1970: jobs follow the clock on the wall, pauses do not.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from penstock.companions.plan import Command, Job, Plan, Process
from penstock.errors import PenstockError, UsageError, nearest
from penstock.supervisor.state import FIRST_PAUSE, LONGEST_PAUSE, STEADY, Log

LATE = 60.0  # seconds after which a time is missed: the machine slept, or its clock was put forward
LOOK_EVERY = 30.0  # seconds after which the clock on the wall is looked at again: somebody may have put it right


class Start(NamedTuple):
    """Start a command, and tell started() or refused()."""

    handle: "Handle"


class Signal(NamedTuple):
    """Send a signal, by its name without SIG; to the whole group of processes, or to the first one alone."""

    pid: int
    name: str
    to_group: bool


Action = Start | Signal | Log


class Ending(NamedTuple):
    """How a process ended, for the log; and whether that was well."""

    text: str
    is_success: bool


class Handle:
    """A command that may run now, seen from outside."""

    what = ""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.pid: int | None = None
        self.started = 0.0
        self.is_leaving = False
        self.kill_at = math.inf

    def __str__(self) -> str:
        return f"{self.what} {self.command.name}" + (f" (pid {self.pid})" if self.pid else "")

    def dismiss(self, now: float) -> list[Action]:
        """Asks it to end. Without a shell its first process hears of it alone, and looks after its own children."""
        if self.pid is None or self.is_leaving:
            return []
        self.is_leaving = True
        self.kill_at = now + self.command.stop_timeout
        return [Signal(self.pid, self.command.stop_signal, to_group=self.command.needs_shell)]

    def kill(self) -> list[Action]:
        """Ends it with all that it has started."""
        assert self.pid is not None, "only what runs has a time to be killed at"
        self.kill_at = math.inf
        return [Log("warning", f"{self} does not leave; killing it"), Signal(self.pid, "KILL", to_group=True)]

    def leave(self) -> None:
        """It has ended."""
        self.pid, self.is_leaving, self.kill_at = None, False, math.inf


class ProcessHandle(Handle):
    """A process that shall run all the time."""

    what = "process"

    def __init__(self, process: Process, now: float) -> None:
        super().__init__(process.command)
        self.process = process
        self.start_at = now  # when it does not run
        self.pause = FIRST_PAUSE
        self.restarts = 0
        self.follower: Process | None = None  # what is started when it has left
        self.is_removed = False  # the site has it no more
        self.ending = ""

    @property
    def state(self) -> str:
        """In a word."""
        if self.pid is not None:
            return "stopping" if self.is_leaving else "running"
        return "ended" if math.isinf(self.start_at) else "waiting"

    def describe(self) -> dict[str, Any]:
        """For admin/status.py."""
        return {
            "name": self.command.name,
            "command": self.command.text,
            "pid": self.pid,
            "state": self.state,
            "started": self.started if self.pid else None,
            "restarts": self.restarts,
            "ending": self.ending,
        }


class JobHandle(Handle):
    """A job, between two runs or in one."""

    what = "job"

    def __init__(self, job: Job, due: float) -> None:
        super().__init__(job.command)
        self.job = job
        self.due = due  # on the wall
        self.began = 0.0  # on the wall
        self.stop_at = math.inf
        self.is_queued = False
        self.is_removed = False
        self.runs = self.failures = 0
        self.last: dict[str, Any] | None = None

    def describe(self) -> dict[str, Any]:
        """For admin/status.py."""
        return {
            "name": self.command.name,
            "command": self.command.text,
            "cron": self.job.cron,
            "pid": self.pid,
            "state": "stopping" if self.is_leaving else "running" if self.pid else "waiting",
            "started": self.started if self.pid else None,
            "runs": self.runs,
            "failures": self.failures,
            "last": self.last,
            "next": None if math.isinf(self.due) else self.due,
        }


class State:
    """The processes and jobs there are. `next_run` gives a cron expression's next time after one on the wall."""

    def __init__(self, next_run: Callable[[str, float], float]) -> None:
        self.next_run = next_run
        self.processes: dict[str, ProcessHandle] = {}
        self.jobs: dict[str, JobHandle] = {}
        self.is_stopping = False

    @property
    def handles(self) -> list[Handle]:
        """All of them."""
        return [*self.processes.values(), *self.jobs.values()]

    @property
    def is_gone(self) -> bool:
        """Whether nothing runs."""
        return all(handle.pid is None for handle in self.handles)

    def serve(self, plan: Plan, now: float, wall: float) -> list[Action]:
        """A generation serves: its processes take the place of those before, each when the old one has left.

        A job that runs may finish.
        """
        if self.is_stopping:
            return []
        actions: list[Action] = []
        wanted = {process.command.name: process for process in plan.processes}
        for name, handle in list(self.processes.items()):
            handle.follower = wanted.pop(name, None)
            handle.is_removed = handle.follower is None
            actions += handle.dismiss(now) if handle.pid else self.succeed(handle, now)
        self.processes |= {name: ProcessHandle(process, now) for name, process in wanted.items()}
        jobs = {job.command.name: job for job in plan.jobs}
        for name, running in list(self.jobs.items()):
            running.is_removed = name not in jobs
            running.due, running.is_queued = math.inf, False
            if running.is_removed and running.pid is None:
                del self.jobs[name]
        for name, job in jobs.items():
            due = self.next_run(job.cron, wall)
            known = self.jobs.setdefault(name, JobHandle(job, due))
            known.job, known.due = job, due
            if known.pid is None:
                known.command = job.command
        return actions + self.tick(now, wall)

    def restart(self, name: str, now: float, wall: float) -> list[Action]:
        """Ends a process, or each one of NAME.1 and so on, and starts it again."""
        if self.is_stopping:
            raise PenstockError("the supervisor is stopping")
        found = [
            handle
            for known, handle in self.processes.items()
            if name in (known, known.partition(".")[0]) and not handle.is_removed
        ]
        if not found:
            known_names = ", ".join(self.processes) or "there are none"
            raise UsageError(
                f"there is no process {name!r}", nearest(name, self.processes) or f"processes: {known_names}"
            )
        actions: list[Action] = []
        for handle in found:
            handle.follower = handle.follower or handle.process
            actions += handle.dismiss(now) if handle.pid else self.succeed(handle, now)
        return actions + self.tick(now, wall)

    def stop(self, now: float, at_once: bool) -> list[Action]:
        """Ends everything; nothing is started any more."""
        self.is_stopping = True
        actions: list[Action] = []
        for handle in self.handles:
            if handle.pid is not None:
                actions += [Signal(handle.pid, "KILL", to_group=True)] if at_once else handle.dismiss(now)
        return actions

    def started(self, handle: Handle, pid: int, now: float, wall: float) -> list[Action]:
        """A command runs."""
        handle.pid, handle.started = pid, now
        if isinstance(handle, JobHandle):
            handle.began = wall
            handle.stop_at = now + handle.job.timeout if handle.job.timeout else math.inf
        return [Log("info", f"{handle} is started")]

    def refused(self, handle: Handle, reason: str, now: float, wall: float) -> list[Action]:
        """A command cannot be started."""
        if isinstance(handle, JobHandle):
            handle.began = wall
            handle.started = now
            return self.finish_run(handle, Ending(f"cannot be started: {reason}", False), now)
        assert isinstance(handle, ProcessHandle), "there are processes and jobs"
        return self.lose(handle, Ending(f"cannot be started: {reason}", False), now)

    def exited(self, pid: int, ending: Ending, now: float, wall: float) -> list[Action]:
        """A command has ended, and all that was left of it."""
        handle = next(handle for handle in self.handles if handle.pid == pid)
        if isinstance(handle, JobHandle):
            return self.finish_run(handle, ending, now) + self.tick(now, wall)
        assert isinstance(handle, ProcessHandle), "there are processes and jobs"
        if handle.is_leaving or self.is_stopping:
            actions: list[Action] = [Log("info", f"{handle} has left")]
            handle.leave()
            handle.ending, handle.start_at = ending.text, math.inf
            return [*actions, *self.succeed(handle, now), *self.tick(now, wall)]
        if now - handle.started >= STEADY:
            handle.pause = FIRST_PAUSE
        return self.lose(handle, ending, now)

    def succeed(self, handle: ProcessHandle, now: float) -> list[Action]:
        """What has left makes room for its follower."""
        name = handle.command.name
        if handle.is_removed:
            del self.processes[name]
        elif handle.follower and not self.is_stopping:
            handle.process, handle.follower = handle.follower, None
            handle.command = handle.process.command
            handle.pause, handle.start_at = FIRST_PAUSE, now
        return []

    def lose(self, handle: ProcessHandle, ending: Ending, now: float) -> list[Action]:
        """A process ended that nobody had asked to."""
        shown = str(handle)
        handle.leave()
        handle.ending = ending.text
        restart = handle.process.restart
        if restart == "never" or (restart == "on-failure" and ending.is_success):
            handle.start_at = math.inf
            level = "info" if ending.is_success else "error"
            return [Log(level, f"{shown} {ending.text}; it is not started again (restart = {restart})")]
        handle.restarts += 1
        handle.start_at = now + handle.pause
        line = Log("error", f"{shown} {ending.text}; starting another in {handle.pause:g} s")
        handle.pause = min(handle.pause * 2, LONGEST_PAUSE)
        return [line]

    def finish_run(self, handle: JobHandle, ending: Ending, now: float) -> list[Action]:
        """A run of a job has ended."""
        shown = str(handle)
        seconds = now - handle.started
        handle.last = {
            "began": handle.began,
            "seconds": seconds,
            "ending": ending.text,
            "is_success": ending.is_success,
        }
        handle.runs += 1
        handle.failures += not ending.is_success
        handle.leave()
        handle.stop_at = math.inf
        if handle.is_removed:
            del self.jobs[handle.command.name]
        handle.command = handle.job.command
        level = "info" if ending.is_success else "error"
        return [Log(level, f"{shown} {ending.text} after {seconds:.1f} s")]

    # -- what the time tells

    def next_time(self, now: float, wall: float) -> float:
        """When tick() should be called at the latest, of time.monotonic(); infinite when nothing waits."""
        times = [handle.kill_at for handle in self.handles]
        if not self.is_stopping:
            times += [process.start_at for process in self.processes.values() if process.pid is None]
            times += [job.stop_at for job in self.jobs.values()]
            due = min((job.due for job in self.jobs.values()), default=math.inf) - wall
            if not math.isinf(due):
                times.append(now + min(due, LOOK_EVERY))
        return min(times, default=math.inf)

    def tick(self, now: float, wall: float) -> list[Action]:
        """Does what is due."""
        actions: list[Action] = []
        for handle in self.handles:
            if handle.kill_at <= now:
                actions += handle.kill()
        if self.is_stopping:
            return actions
        for process in self.processes.values():
            if process.pid is None and process.start_at <= now:
                process.start_at = math.inf
                actions.append(Start(process))
        for job in self.jobs.values():
            actions += self.look_at(job, now, wall)
        return actions

    def look_at(self, job: JobHandle, now: float, wall: float) -> Iterable[Action]:
        """Whether a job is due, and whether it takes too long."""
        actions: list[Action] = []
        if job.stop_at <= now:
            job.stop_at = math.inf
            actions += [Log("error", f"{job} takes longer than its timeout; stopping it"), *job.dismiss(now)]
        if job.due <= wall:
            late = wall - job.due
            job.due = self.next_run(job.job.cron, wall)
            if late > LATE:
                actions.append(Log("warning", f"{job} was due {late / 60:.0f} minutes ago: that run is missed"))
            elif job.pid is None:
                return [*actions, Start(job)]
            elif job.job.overlap == "queue":
                job.is_queued = True
                actions.append(Log("info", f"{job} still runs: the next run waits for its end"))
            else:
                actions.append(Log("warning", f"{job} still runs: a run is skipped"))
        elif job.is_queued and job.pid is None:
            job.is_queued = False
            actions.append(Start(job))
        return actions
