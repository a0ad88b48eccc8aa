"""What the supervisor should do next: events and the time in, actions out. No fork, no clock, no file.

A generation is one loading of the application: a mold and the workers forked from it. A new one is on trial until its
first worker is ready; only then does it take over, and the workers of the old one leave one by one. The first start
is the same trial, with nothing to fall back on.
"""

import math
from typing import Any, NamedTuple

FIRST_PAUSE = 0.1  # seconds; doubles with each worker that dies soon after it was started
LONGEST_PAUSE = 30.0
STEADY = 10.0  # a worker that served for so long was well: the pause begins anew
BOOT_TRIES = 5  # workers that die without a word before any was ready: 1.5 s of pauses
KILL_AFTER = 2.0  # beyond the graceful time; who is still there then is stuck


class StartMold(NamedTuple):
    """Fork a mold; without `preload` its workers load the application themselves."""

    generation: int
    preload: bool


class StopMold(NamedTuple):
    """End a mold; its workers go on."""

    generation: int


class StartWorker(NamedTuple):
    """Have a mold fork a worker, one of `workers`."""

    generation: int
    number: int
    workers: int


class Signal(NamedTuple):
    """Send a signal, by its name without SIG."""

    pid: int
    name: str


class SignalMolds(NamedTuple):
    """Send a signal to every mold."""

    name: str


class Log(NamedTuple):
    """Write a line."""

    level: str
    message: str


class Announce(NamedTuple):
    """Say what was found; once, at the first start."""

    facts: dict[str, Any]


class Finish(NamedTuple):
    """Leave. `error` is what kept the first generation from starting, as PenstockError.to_message gives it."""

    error: dict[str, str] | None


Action = StartMold | StopMold | StartWorker | Signal | SignalMolds | Log | Announce | Finish


class MoldHandle:
    """A mold, seen from outside."""

    __slots__ = ("has_failed", "is_loaded", "is_unsafe", "preload")

    def __init__(self, preload: bool) -> None:
        self.preload = preload
        self.is_loaded = False
        self.is_unsafe = False  # it runs threads: another one, that loads nothing, takes its place
        self.has_failed = False  # it has said why, and ends


class WorkerHandle:
    """A worker, seen from outside."""

    __slots__ = ("generation", "is_leaving", "kill_at", "number", "pid", "ready_at", "started")

    def __init__(self, number: int, generation: int, now: float) -> None:
        self.number = number
        self.generation = generation
        self.pid: int | None = None  # not yet told
        self.started = now
        self.ready_at: float | None = None
        self.is_leaving = False
        self.kill_at = math.inf

    @property
    def takes_requests(self) -> bool:
        """Whether it is ready, and stays."""
        return self.ready_at is not None and not self.is_leaving

    @property
    def state(self) -> str:
        """In a word."""
        return "leaving" if self.is_leaving else "ready" if self.ready_at is not None else "starting"

    def __str__(self) -> str:
        return f"worker {self.number} (pid {self.pid})"


class State:
    """The generations and workers there are, and those there should be. Every event returns the actions to take."""

    def __init__(self, workers: int, graceful_timeout: float) -> None:
        self.wanted = self.configured = workers
        self.graceful_timeout = graceful_timeout
        self.latest = 0
        self.serving = 0  # the generation that serves; 0: none yet
        self.trial: int | None = None
        self.trial_deaths = 0
        self.molds: dict[int, MoldHandle] = {}
        self.workers: dict[int, WorkerHandle] = {}
        self.pause = FIRST_PAUSE
        self.resume_at = 0.0  # no worker or mold is started before
        self.is_stopping = False
        self.stop_by = math.inf
        self.error: dict[str, str] | None = None

    # -- what people ask for

    def reload(self, now: float) -> list[Action]:
        """Tries the application anew; also the first start. A trial in progress is given up for the newer code."""
        if self.is_stopping:
            return []
        actions = self.end_trial() if self.trial is not None else []
        self.latest += 1
        self.trial, self.trial_deaths = self.latest, 0
        self.resume_at = 0.0
        if self.serving:
            actions.append(Log("info", f"reloading: generation {self.latest} is being loaded"))
        return [*actions, *self.fill(now)]

    def scale(self, change: int, now: float) -> list[Action]:
        """Adds or removes workers; one always remains."""
        if self.is_stopping or self.wanted + change < 1:
            return []
        self.wanted += change
        return [Log("info", f"{self.wanted} workers are wanted now"), *self.retire_surplus(now), *self.fill(now)]

    def stop(self, now: float, at_once: bool = False) -> list[Action]:
        """Ends everything: gracefully, or at once, also when it was asked to stop before."""
        at_once = at_once or self.is_stopping
        first = not self.is_stopping
        self.is_stopping = True
        self.stop_by = now + KILL_AFTER + (0 if at_once else self.graceful_timeout)
        molds = [generation for generation, mold in self.molds.items() if not mold.has_failed] if first else []
        actions: list[Action] = [StopMold(generation) for generation in molds]
        if first and not self.error:
            actions.append(Log("info", "stopping at once" if at_once else "stopping: requests in flight are finished"))
        for worker in self.workers.values():
            worker.is_leaving = True
            worker.kill_at = self.stop_by
            if worker.pid:
                actions.append(Signal(worker.pid, "QUIT" if at_once else "TERM"))
        return actions + self.finish()

    def reopen_logs(self) -> list[Action]:
        """Tells every process."""
        pids = [worker.pid for worker in self.workers.values() if worker.pid and worker.ready_at is not None]
        return [SignalMolds("USR1"), *(Signal(pid, "USR1") for pid in pids), Log("info", "log files are opened anew")]

    # -- what molds tell

    def mold_loaded(self, generation: int, facts: dict[str, Any], now: float) -> list[Action]:
        """The application is loaded, or, without preload, could be."""
        mold = self.molds[generation]
        actions: list[Action] = []
        if facts["threads"]:
            mold.is_unsafe = True
            names = ", ".join(facts["threads"])
            actions.append(
                Log("warning", f"loading the application started threads ({names}): each worker loads it for itself")
            )
        else:
            mold.is_loaded = True
        if generation == self.trial:
            self.graceful_timeout = facts["graceful_timeout"]
            if facts["workers"] != self.configured:
                self.wanted = self.configured = facts["workers"]
        if mold.preload and generation == self.trial and not self.serving:
            actions.insert(0, Announce(facts))
        actions += [Log("warning", warning) for warning in facts.get("warnings", ())]
        return actions + self.fill(now)

    def mold_failed(self, generation: int, error: dict[str, str], now: float) -> list[Action]:
        """The application cannot be loaded."""
        self.molds[generation].has_failed = True
        if generation == self.trial:
            return self.fail_trial(error, now)
        if generation != self.serving:
            return []
        self.put_off(now)
        return [Log("error", f"no worker can be started: {sentence(error)}")]

    def mold_exited(self, generation: int, ending: str, now: float) -> list[Action]:
        """A mold has ended; its workers have not."""
        mold = self.molds.pop(generation)
        # Workers that it was asked for and had not forked will not come.
        for worker in [w for w in self.workers.values() if w.generation == generation and w.pid is None]:
            del self.workers[worker.number]
        if self.is_stopping:
            return self.finish()
        if mold.is_unsafe:
            self.molds[generation] = MoldHandle(preload=False)
            return [StartMold(generation, preload=False)]
        if mold.has_failed or generation not in (self.serving, self.trial):
            return []
        reason = f"the process that loads the application {ending}"
        if generation == self.trial:
            return self.fail_trial(unexpected(reason), now)
        self.put_off(now)
        return [Log("warning", f"{reason}; its workers go on")]

    # -- what workers tell

    def worker_forked(self, generation: int, number: int, pid: int) -> list[Action]:
        """A worker has a process id; it is not ready yet."""
        worker = self.workers.get(number)
        if worker is None or worker.generation != generation or worker.pid not in (None, pid):
            # Forked by a mold that we had given up: it is ours to end, and nobody counts on it.
            return [Signal(pid, "KILL")]
        worker.pid = pid
        return [Signal(pid, "TERM")] if worker.is_leaving else []

    def worker_not_forked(self, number: int, reason: str, now: float) -> list[Action]:
        """The system refused a process."""
        worker = self.workers.pop(number, None)
        return self.lose(worker, f"worker {number} cannot be forked: {reason}", now) if worker else []

    def worker_ready(self, number: int, pid: int, now: float) -> list[Action]:
        """A worker takes requests."""
        worker = self.workers.get(number)
        if worker is None or worker.is_leaving:
            return []
        worker.pid = pid
        worker.ready_at = now
        actions: list[Action] = [Log("info", f"{worker} is ready")]
        if worker.generation == self.trial:
            if self.serving:
                actions.append(Log("info", f"generation {self.trial} takes over from generation {self.serving}"))
            if self.serving in self.molds:
                actions.append(StopMold(self.serving))
            self.serving, self.trial = self.trial, None
        return [*actions, *self.retire_surplus(now), *self.fill(now)]

    def worker_failed(self, number: int, error: dict[str, str], now: float) -> list[Action]:
        """A worker says why it cannot start; it ends by itself."""
        worker = self.workers.get(number)
        if worker is None or worker.is_leaving:
            return []
        if worker.generation == self.trial:
            return self.fail_trial(error, now)
        return [Log("error", f"worker {number} cannot start: {sentence(error)}")]

    def worker_exited(self, pid: int, ending: str, now: float) -> list[Action]:
        """A worker has ended, for whatever reason."""
        worker = next((worker for worker in self.workers.values() if worker.pid == pid), None)
        if worker is None:
            return []
        del self.workers[worker.number]
        if self.is_stopping:
            return self.finish()
        if worker.is_leaving:
            return [Log("info", f"{worker} has left"), *self.fill(now)]
        if worker.ready_at is not None and now - worker.ready_at >= STEADY:
            self.pause = FIRST_PAUSE
        return self.lose(
            worker, f"{worker} {ending}" + (" before it was ready" if worker.ready_at is None else ""), now
        )

    # -- what the time tells

    def next_time(self) -> float:
        """When tick() should be called at the latest; infinite when nothing waits."""
        kill = min((worker.kill_at for worker in self.workers.values()), default=math.inf)
        return min(self.resume_at or math.inf, kill, self.stop_by)

    def tick(self, now: float) -> list[Action]:
        """Does what was put off until now."""
        actions: list[Action] = []
        for worker in self.workers.values():
            if worker.kill_at <= now:
                worker.kill_at = math.inf
                if worker.pid:
                    actions += [Log("warning", f"{worker} does not leave; killing it"), Signal(worker.pid, "KILL")]
        if self.stop_by <= now:
            self.stop_by = math.inf
            actions.append(SignalMolds("KILL"))
        if self.resume_at <= now:
            self.resume_at = 0.0
        return actions + self.fill(now)

    # -- decisions

    def fill(self, now: float) -> list[Action]:
        """Starts what is missing: all at once, but one by one while old workers have still to leave."""
        actions: list[Action] = []
        if self.is_stopping or now < self.resume_at:
            return actions
        for generation, target in ((self.serving, self.wanted), (self.trial, 1)):
            if not generation:
                continue
            mine = [w for w in self.workers.values() if w.generation == generation and not w.is_leaving]
            missing = target - len(mine)
            if any(w.generation < generation and not w.is_leaving for w in self.workers.values()):
                missing = min(missing, 0 if any(w.ready_at is None for w in mine) else 1)
            if missing <= 0:
                continue
            mold = self.molds.get(generation)
            if mold is None:
                self.molds[generation] = MoldHandle(preload=True)
                actions.append(StartMold(generation, preload=True))
            elif mold.is_loaded:
                actions += [self.start_worker(generation, now) for _ in range(missing)]
        return actions

    def start_worker(self, generation: int, now: float) -> StartWorker:
        """Takes the lowest number that is free."""
        number = next(number for number in range(1, len(self.workers) + 2) if number not in self.workers)
        self.workers[number] = WorkerHandle(number, generation, now)
        return StartWorker(generation, number, self.wanted)

    def retire_surplus(self, now: float) -> list[Action]:
        """Lets the workers leave that are too many: of old generations first, then the youngest."""
        ready = [w for w in self.workers.values() if not w.is_leaving and w.ready_at is not None]
        current = [w for w in ready if w.generation == self.serving]
        old = [w for w in ready if w.generation < self.serving]
        surplus = (old + current[::-1])[: max(0, len(old) + len(current) - self.wanted)]
        return [self.retire(worker, now) for worker in surplus]

    def retire(self, worker: WorkerHandle, now: float) -> Signal:
        """Has a worker finish what it does, and leave."""
        assert worker.pid is not None, "a ready worker has told its pid"
        worker.is_leaving = True
        worker.kill_at = now + self.graceful_timeout + KILL_AFTER
        return Signal(worker.pid, "TERM")

    def fail_trial(self, error: dict[str, str], now: float) -> list[Action]:
        """Gives the new generation up; the old one serves on, or there is none and that is the end."""
        if not self.serving:
            self.error = error
            return self.stop(now, at_once=True)
        message = f"generation {self.trial} failed, generation {self.serving} serves on: {sentence(error)}"
        return [*self.end_trial(), Log("error", message)]

    def end_trial(self) -> list[Action]:
        """Ends the mold and the workers on trial."""
        generation, self.trial = self.trial, None
        actions: list[Action] = []
        if generation in self.molds and not self.molds[generation].has_failed:
            actions.append(StopMold(generation))
        for worker in self.workers.values():
            if worker.generation == generation:
                worker.is_leaving = True
                if worker.pid:
                    actions.append(Signal(worker.pid, "KILL"))
        return actions

    def lose(self, worker: WorkerHandle, message: str, now: float) -> list[Action]:
        """A worker ended that nobody had asked to: another one, after a pause, unless a trial ends with it."""
        if worker.generation == self.trial:
            self.trial_deaths += 1
            if self.serving or self.trial_deaths >= BOOT_TRIES:
                return self.fail_trial(unexpected(message), now)
        actions: list[Action] = [Log("error", f"{message}; starting another in {self.pause:g} s")]
        self.put_off(now)
        return actions

    def put_off(self, now: float) -> None:
        """Lets the next start wait, longer each time."""
        self.resume_at = now + self.pause
        self.pause = min(self.pause * 2, LONGEST_PAUSE)

    def finish(self) -> list[Action]:
        """Leaves when nobody is left."""
        if self.molds or self.workers:
            return []
        return [Finish(self.error)] if self.error else [Log("info", "stopped"), Finish(None)]


def sentence(error: dict[str, str]) -> str:
    """An error on the lines of a log."""
    return "\n".join(part for part in (error["message"], error["detail"].rstrip(), error["hint"]) if part)


def unexpected(message: str) -> dict[str, str]:
    """An error for a process that ended without a word."""
    hint = "its last words, if any, are above"
    return {"kind": "AppFailed", "message": message, "hint": hint, "detail": ""}
