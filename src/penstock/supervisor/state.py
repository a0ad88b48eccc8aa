"""What the supervisor should do next: events and the time in, actions out. No fork, no clock, no file.

A generation is one loading of the application: a mold and the workers forked from it. A new one is on trial until its
first worker is ready; only then does it take over, and the workers of the old one leave one by one. The first start
is the same trial, with nothing to fall back on; a rollback is the same trial with a mold that was kept.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from penstock.errors import PenstockError, UsageError
from penstock.supervisor.limits import Limits
from penstock.supervisor.load import Load, Reading

FIRST_PAUSE = 0.1  # seconds; doubles with each worker that dies soon after it was started
LONGEST_PAUSE = 30.0
STEADY = 10.0  # a worker that served for so long was well: the pause begins anew
BOOT_TRIES = 5  # workers that die without a word before any was ready: 1.5 s of pauses
KILL_AFTER = 2.0  # beyond the graceful time; who is still there then is stuck
BOOT_GRACE = 5.0  # beyond boot_timeout, in which a mold or a worker can say itself where it hangs
LOOK_EVERY = 1.0
MEMORY_EVERY = 10  # looks: reading the PSS of a large process takes milliseconds

# Why a worker was replaced or has gone.
REASONS = ("requests", "lifetime", "memory", "stuck", "crash", "reload", "scale")


class StartMold(NamedTuple):
    """Fork a mold; without `preload` its workers load the application themselves."""

    generation: int
    preload: bool


class StopMold(NamedTuple):
    """End a mold, by force when it hangs; its workers go on."""

    generation: int
    at_once: bool = False


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


class HoldOff(NamedTuple):
    """Let nobody begin to connect any more, and call held_off() when all who had begun are connected."""


class StopCompanions(NamedTuple):
    """End what runs beside the web, and call companions_left() when it has gone."""

    at_once: bool


class Log(NamedTuple):
    """Write a line."""

    level: str
    message: str


class Announce(NamedTuple):
    """Say what was found; once, at the first start."""

    facts: dict[str, Any]


class Settle(NamedTuple):
    """Tell who asked for it that a generation serves, or why it does not: as PenstockError.to_message gives it."""

    generation: int
    error: dict[str, str] | None


class Look(NamedTuple):
    """Read the workers' counters, and call observe() with them."""

    with_memory: bool


class Finish(NamedTuple):
    """Leave. `error` is what kept the first generation from starting, as PenstockError.to_message gives it."""

    error: dict[str, str] | None


Action = (
    StartMold
    | StopMold
    | StartWorker
    | Signal
    | SignalMolds
    | HoldOff
    | StopCompanions
    | Log
    | Announce
    | Settle
    | Look
    | Finish
)


class MoldHandle:
    """A mold, seen from outside."""

    __slots__ = ("give_up_at", "has_failed", "is_given_up", "is_loaded", "is_unsafe", "limits", "preload")

    def __init__(self, preload: bool, limits: Limits, now: float) -> None:
        self.preload = preload
        self.limits = limits
        self.is_loaded = False
        self.is_unsafe = False  # it runs threads: another one, that loads nothing, takes its place
        self.has_failed = False  # it has said why, and ends
        self.is_given_up = False  # it took longer than boot_timeout
        self.give_up_at = now + limits.boot_timeout + BOOT_GRACE


class WorkerHandle:
    """A worker, seen from outside."""

    __slots__ = (
        "due",
        "generation",
        "is_leaving",
        "kill_at",
        "killed_because",
        "most_requests",
        "number",
        "pid",
        "ready_at",
        "started",
    )

    def __init__(self, number: int, generation: int, now: float, limits: Limits, jitter: float) -> None:
        self.number = number
        self.generation = generation
        self.pid: int | None = None  # not yet told
        self.started = now
        self.ready_at: float | None = None
        self.most_requests = limits.max_requests + round(jitter * limits.max_requests_jitter)
        self.due = ""  # one of REASONS: it leaves when another one is ready in its place
        self.is_leaving = False
        self.kill_at = now + limits.boot_timeout + BOOT_GRACE
        self.killed_because = ""

    def __str__(self) -> str:
        return f"worker {self.number} (pid {self.pid})"

    @property
    def takes_requests(self) -> bool:
        """Whether it is ready, and stays."""
        return self.ready_at is not None and not self.is_leaving

    def is_tried(self, trial: int | None) -> bool:
        """Whether the trial is about it. One that was ready before serves since the time before a rollback to it."""
        return self.generation == trial and self.ready_at is None

    @property
    def state(self) -> str:
        """In a word."""
        return "leaving" if self.is_leaving else "ready" if self.ready_at is not None else "starting"


class State:
    """The generations and workers there are, and those there should be. Every event returns the actions to take.

    There is room for `slots` workers, those that leave included. `chance` gives numbers from 0 to 1. What cannot be
    done is refused with a PenstockError, and changes nothing.
    """

    def __init__(self, limits: Limits, slots: int, chance: Callable[[], float]) -> None:
        self.limits = limits
        self.slots = slots
        self.chance = chance
        self.wanted = limits.workers
        self.latest = 0
        self.serving = 0  # the generation that serves; 0: none yet
        self.previous = 0  # the one before, whose mold is kept; 0: none
        self.trial: int | None = None
        self.trial_deaths = 0
        self.molds: dict[int, MoldHandle] = {}
        self.workers: dict[int, WorkerHandle] = {}
        self.restarts = dict.fromkeys(REASONS, 0)
        self.load = Load()
        self.looks = 0
        self.looked_at = -math.inf
        self.pause = FIRST_PAUSE
        self.resume_at = 0.0  # no worker or mold is started before
        self.has_companions = False  # somebody else looks after them, and says when they have left
        self.is_stopping = False
        self.stop_by = math.inf
        self.error: dict[str, str] | None = None

    # -- what people ask for

    def reload(self, now: float) -> list[Action]:
        """Tries the application anew; also the first start. A trial in progress is given up for the newer code."""
        if self.is_stopping:
            raise PenstockError("the supervisor is stopping")
        actions = self.supersede()
        self.latest += 1
        self.trial, self.trial_deaths = self.latest, 0
        self.resume_at = 0.0
        if self.serving:
            actions.append(Log("info", f"reloading: generation {self.latest} is being loaded"))
        return [*actions, *self.fill(now)]

    def rollback(self, now: float) -> list[Action]:
        """Has the generation before this one serve again."""
        if self.is_stopping:
            raise PenstockError("the supervisor is stopping")
        if not self.previous:
            raise PenstockError(
                "there is no previous generation to go back to",
                "one is kept after a successful reload, if keep_previous is true and the application is preloaded",
            )
        if self.trial == self.previous:
            raise PenstockError("the previous generation is being started already")
        actions = self.supersede()
        self.trial, self.trial_deaths = self.previous, 0
        self.resume_at = 0.0
        actions.append(Log("info", f"rolling back: generation {self.trial} is started again"))
        return [*actions, *self.fill(now)]

    def scale(self, workers: int, now: float, reason: str = "") -> list[Action]:
        """So many workers from now on; one always remains."""
        if self.is_stopping:
            raise PenstockError("the supervisor is stopping")
        if not 1 <= workers <= self.room:
            hint = "restart with more to have room for more" if workers > 0 else "`penstock stop` ends them all"
            raise UsageError(f"there can be 1 to {self.room} workers", hint)
        self.wanted = workers
        message = f"{workers} workers are wanted now{reason}" if workers > 1 else f"1 worker is wanted now{reason}"
        return [Log("info", message), *self.retire_surplus(now), *self.fill(now)]

    def rest(self, now: float) -> list[Action]:
        """Retires every worker; connections wait until scale() or reload() brings some back."""
        if self.is_stopping:
            raise PenstockError("the supervisor is stopping")
        self.wanted = 0
        return [Log("info", "the workers retire; TTIN or HUP brings them back"), *self.retire_surplus(now)]

    def stop(self, now: float, at_once: bool = False) -> list[Action]:
        """Ends everything: gracefully, or at once, also when it was asked to stop before."""
        at_once = at_once or self.is_stopping
        first = not self.is_stopping
        self.is_stopping = True
        self.stop_by = now + KILL_AFTER + (0 if at_once else self.limits.graceful_timeout)
        molds = [generation for generation, mold in self.molds.items() if not mold.has_failed] if first else []
        actions: list[Action] = [StopMold(generation) for generation in molds]
        if first and self.trial is not None:
            actions.append(Settle(self.trial, self.error or unexpected("the supervisor is stopping")))
        if first and not self.error:
            actions.append(Log("info", "stopping at once" if at_once else "stopping: requests in flight are finished"))
        for worker in self.workers.values():
            worker.is_leaving = True
            worker.kill_at = self.stop_by
        if self.serving and not at_once:
            actions.append(HoldOff())
        else:
            actions += self.signal_workers("QUIT" if at_once else "TERM")
        if self.has_companions:
            actions.append(StopCompanions(at_once))
        return actions + self.finish()

    def held_off(self) -> list[Action]:
        """Nobody connects any more: the workers accept those who wait, and leave when they have answered."""
        return self.signal_workers("TERM")

    def signal_workers(self, name: str) -> list[Action]:
        """Sends all workers that there are a signal."""
        return [Signal(worker.pid, name) for worker in self.workers.values() if worker.pid]

    def companions_left(self) -> list[Action]:
        """Nothing runs beside the web any more, at a stop."""
        had_companions, self.has_companions = self.has_companions, False
        return self.finish() if had_companions else []

    def reopen_logs(self) -> list[Action]:
        """Tells every process."""
        pids = [worker.pid for worker in self.workers.values() if worker.pid and worker.ready_at is not None]
        return [SignalMolds("USR1"), *(Signal(pid, "USR1") for pid in pids), Log("info", "log files are opened anew")]

    # -- what molds tell

    def mold_releasing(self, generation: int, timeout: float, now: float) -> list[Action]:
        """The release command runs, for so long at the most; the application is loaded after that."""
        self.molds[generation].give_up_at = now + timeout + self.limits.boot_timeout + BOOT_GRACE
        return []

    def mold_loaded(self, generation: int, facts: dict[str, Any], now: float) -> list[Action]:
        """The application is loaded, or, without preload, could be."""
        mold = self.molds[generation]
        mold.limits = Limits(**facts["limits"])
        actions: list[Action] = []
        if mold.preload and generation == self.trial and not self.serving:
            actions.append(Announce(facts))
        mold.preload = mold.preload and facts["is_preloaded"]
        if facts["threads"]:
            mold.is_unsafe = True
            names = ", ".join(facts["threads"])
            actions.append(
                Log("warning", f"loading the application started threads ({names}): each worker loads it for itself")
            )
        else:
            mold.is_loaded = True
        mold.give_up_at = math.inf
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
            self.molds[generation] = MoldHandle(False, mold.limits, now)
            return [StartMold(generation, preload=False)]
        how = "took longer than boot_timeout" if mold.is_given_up else ending
        reason = f"the process that loads the application {how}"
        if generation == self.previous:
            self.previous = 0
            if generation != self.trial:
                return [Log("warning", f"{reason}; generation {generation} cannot be rolled back to")]
        if mold.has_failed or generation not in (self.serving, self.trial):
            return []
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
        worker.kill_at = math.inf
        actions: list[Action] = [Log("info", f"{worker} is ready")]
        if worker.generation == self.trial:
            actions += self.take_over(self.trial)
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
        how = worker.killed_because or ending
        before = " before it was ready" if worker.ready_at is None and not worker.killed_because else ""
        return self.lose(worker, f"{worker} {how}{before}", now)

    def observe(self, readings: Mapping[int, Reading], now: float) -> list[Action]:
        """Takes the workers' counters in, by number: who is due to leave, and whether there are enough."""
        actions: list[Action] = []
        seconds = now - self.looked_at
        self.looked_at = now
        for worker in [w for w in self.workers.values() if w.takes_requests and w.number in readings]:
            actions += self.judge(worker, readings[worker.number], now)
        if self.limits.is_elastic and self.trial is None:
            change = self.load.change(readings.values(), seconds, self.wanted)
            most = min(self.limits.most_workers, self.room)
            if change and self.limits.workers <= self.wanted + change <= most:
                why = ": requests wait for long" if change > 0 else ": there is little to do"
                actions += self.scale(self.wanted + change, now, why)
        return actions + self.fill(now)

    # -- what the time tells

    def next_time(self) -> float:
        """When tick() should be called at the latest; infinite when nothing waits."""
        kill = min((worker.kill_at for worker in self.workers.values()), default=math.inf)
        give_up = min((mold.give_up_at for mold in self.molds.values()), default=math.inf)
        look = self.looked_at + LOOK_EVERY if self.looks_on else math.inf
        return min(self.resume_at or math.inf, kill, give_up, look, self.stop_by)

    def tick(self, now: float) -> list[Action]:
        """Does what was put off until now."""
        actions: list[Action] = []
        for generation, mold in self.molds.items():
            if mold.give_up_at <= now:
                mold.give_up_at, mold.is_given_up = math.inf, True
                actions.append(StopMold(generation, at_once=True))
        for worker in list(self.workers.values()):
            if worker.kill_at <= now:
                actions += self.kill(worker)
        if self.stop_by <= now:
            self.stop_by = math.inf
            actions.append(SignalMolds("KILL"))
        if self.resume_at <= now:
            self.resume_at = 0.0
        if self.looks_on and now >= self.looked_at + LOOK_EVERY:
            self.looks += 1
            limited = self.limits.max_memory or self.limits.max_memory_hard
            actions.append(Look(bool(limited) and self.looks % MEMORY_EVERY == 1))
        return actions + self.fill(now)

    # -- decisions

    @property
    def room(self) -> int:
        """The most workers that there can be: a reload needs as many again."""
        return self.slots // 2

    @property
    def looks_on(self) -> bool:
        """Whether the workers' counters matter now."""
        return bool(self.serving) and not self.is_stopping and self.limits.needs_looks

    def take_over(self, generation: int) -> list[Action]:
        """The generation on trial serves from now on. The mold of the one before is kept, if it holds any code."""
        old, self.serving, self.trial = self.serving, generation, None
        limits = self.molds[generation].limits
        self.wanted, self.limits = self.wanted_with(limits), limits
        actions: list[Action] = [Settle(generation, None)]
        if self.wanted > self.room:
            actions.append(
                Log("warning", f"there is room for {self.room} workers, not {self.wanted}, until a restart")
            )
            self.wanted = self.room
        if old:
            actions.append(Log("info", f"generation {generation} takes over from generation {old}"))
        older = {old, self.previous} - {generation} & self.molds.keys()
        keeps = self.limits.keep_previous and old in older and self.molds[old].preload and self.molds[old].is_loaded
        self.previous = old if keeps else 0
        return actions + [StopMold(one) for one in sorted(older - {self.previous})]

    def judge(self, worker: WorkerHandle, reading: Reading, now: float) -> list[Action]:
        """Whether one worker has to leave, and why. Only one at a time may be due, unless it is stuck."""
        assert worker.pid is not None, "a ready worker has told its pid"
        assert worker.ready_at is not None, "only a ready worker is judged"
        if 0 < self.limits.max_memory_hard < reading.memory:
            worker.is_leaving = True
            self.restarts["memory"] += 1
            message = f"{worker} uses {mebibytes(reading.memory)}, more than max_memory_hard; killing it"
            return [Log("error", message), Signal(worker.pid, "KILL")]
        if reading.stuck and worker.due != "stuck":
            worker.due = "stuck"
            threads = "a thread that does" if reading.stuck == 1 else f"{reading.stuck} threads that do"
            message = f"{worker} has {threads} not come back; starting another in its place"
            return [Log("error", message)]
        is_free = not any(w.due or w.generation != self.serving for w in self.workers.values())
        if worker.due or worker.generation != self.serving or not is_free or self.trial is not None:
            return []
        if 0 < worker.most_requests <= reading.requests:
            worker.due, why = "requests", f"has had {reading.requests} requests"
        elif 0 < self.limits.max_lifetime <= now - worker.ready_at:
            worker.due, why = "lifetime", f"has served for {now - worker.ready_at:.0f} s"
        elif 0 < self.limits.max_memory < reading.memory:
            worker.due, why = "memory", f"uses {mebibytes(reading.memory)}"
        else:
            return []
        return [Log("info", f"{worker} {why}; starting another in its place")]

    def fill(self, now: float) -> list[Action]:
        """Starts what is missing: all at once, but one by one while old workers have still to leave."""
        actions: list[Action] = []
        if self.is_stopping or now < self.resume_at:
            return actions
        staying = [worker for worker in self.workers.values() if not worker.is_leaving]
        for generation, target in ((self.serving, self.wanted), (self.trial, 1)):
            if not generation:
                continue
            mine = [worker for worker in staying if worker.generation == generation]
            if generation == self.trial:
                mine = [worker for worker in mine if worker.is_tried(generation)]
            missing = target + sum(bool(worker.due) for worker in mine) - len(mine)
            if generation == self.serving and any(w.generation not in (self.serving, self.trial) for w in staying):
                missing = min(missing, 0 if any(w.ready_at is None for w in mine) else 1)
            missing = min(missing, self.slots - len(self.workers))
            if missing <= 0:
                continue
            mold = self.molds.get(generation)
            if mold is None:
                self.molds[generation] = MoldHandle(True, self.limits, now)
                actions.append(StartMold(generation, preload=True))
            elif mold.is_loaded:
                actions += [self.start_worker(generation, mold.limits, now) for _ in range(missing)]
        return actions

    def start_worker(self, generation: int, limits: Limits, now: float) -> StartWorker:
        """Takes the lowest number that is free."""
        number = next(number for number in range(1, len(self.workers) + 2) if number not in self.workers)
        self.workers[number] = WorkerHandle(number, generation, now, limits, self.chance())
        most = limits.most_workers if limits.is_elastic else 0
        return StartWorker(generation, number, max(self.wanted_with(limits), most))

    def wanted_with(self, limits: Limits) -> int:
        """Workers that a generation shall have: what was asked for since, unless its configuration is another one.

        After rest() that is what the configuration says.
        """
        same = (limits.workers, limits.most_workers) == (self.limits.workers, self.limits.most_workers)
        return (self.wanted if same else 0) or limits.workers

    def retire_surplus(self, now: float) -> list[Action]:
        """Lets the workers leave that are too many: of other generations first, then who is due, then the youngest."""
        ready = [worker for worker in self.workers.values() if worker.takes_requests]
        current = [worker for worker in ready if worker.generation == self.serving]
        old = [worker for worker in ready if worker.generation not in (self.serving, self.trial)]
        due = [worker for worker in current if worker.due]
        others = [worker for worker in current[::-1] if not worker.due]
        surplus = (old + due + others)[: max(0, len(old) + len(current) - self.wanted)]
        return [self.retire(worker, now) for worker in surplus]

    def retire(self, worker: WorkerHandle, now: float) -> Signal:
        """Has a worker finish what it does, and leave."""
        assert worker.pid is not None, "a ready worker has told its pid"
        self.restarts[worker.due or ("scale" if worker.generation == self.serving else "reload")] += 1
        worker.is_leaving = True
        worker.kill_at = now + self.limits.graceful_timeout + KILL_AFTER
        return Signal(worker.pid, "TERM")

    def kill(self, worker: WorkerHandle) -> list[Action]:
        """Ends a worker that does not leave, or does not become ready."""
        worker.kill_at = math.inf
        if worker.pid is None:  # the mold was asked, and hangs
            self.molds[worker.generation].is_given_up = True
            return [StopMold(worker.generation, at_once=True)]
        if worker.is_leaving:
            return [Log("warning", f"{worker} does not leave; killing it"), Signal(worker.pid, "KILL")]
        worker.killed_because = "was not ready within boot_timeout"
        return [Signal(worker.pid, "KILL")]

    def fail_trial(self, error: dict[str, str], now: float) -> list[Action]:
        """Gives the new generation up; the old one serves on, or there is none and that is the end."""
        if not self.serving:
            self.error = error
            return self.stop(now, at_once=True)
        message = f"generation {self.trial} failed, generation {self.serving} serves on: {sentence(error)}"
        return [*self.end_trial(error), Log("error", message)]

    def supersede(self) -> list[Action]:
        """Ends the trial in progress, if there is one, because somebody asks for another."""
        if self.trial is None:
            return []
        return self.end_trial(unexpected(f"generation {self.trial} was given up: another one was asked for"))

    def end_trial(self, error: dict[str, str]) -> list[Action]:
        """Ends the mold and the workers on trial."""
        assert self.trial is not None, "a trial is on"
        generation, self.trial = self.trial, None
        actions: list[Action] = [Settle(generation, error)]
        if generation == self.previous:
            self.previous = 0
        if generation in self.molds and not self.molds[generation].has_failed:
            actions.append(StopMold(generation))
        for worker in self.workers.values():
            if worker.is_tried(generation):
                worker.is_leaving = True
                if worker.pid:
                    actions.append(Signal(worker.pid, "KILL"))
        return actions

    def lose(self, worker: WorkerHandle, message: str, now: float) -> list[Action]:
        """A worker ended that nobody had asked to: another one, after a pause, unless a trial ends with it."""
        if worker.is_tried(self.trial):
            self.trial_deaths += 1
            if self.serving or self.trial_deaths >= BOOT_TRIES or worker.killed_because:
                return self.fail_trial(unexpected(message), now)
        self.restarts["crash"] += 1
        actions: list[Action] = [Log("error", f"{message}; starting another in {self.pause:g} s")]
        self.put_off(now)
        return actions

    def put_off(self, now: float) -> None:
        """Lets the next start wait, longer each time."""
        self.resume_at = now + self.pause
        self.pause = min(self.pause * 2, LONGEST_PAUSE)

    def finish(self) -> list[Action]:
        """Leaves when nobody is left."""
        if self.molds or self.workers or self.has_companions:
            return []
        return [Finish(self.error)] if self.error else [Log("info", "stopped"), Finish(None)]


def sentence(error: dict[str, str]) -> str:
    """An error on the lines of a log."""
    return "\n".join(part for part in (error["message"], error["detail"].rstrip(), error["hint"]) if part)


def unexpected(message: str) -> dict[str, str]:
    """An error for a process that ended without a word."""
    hint = "the log says more, if there is more to say"
    return {"kind": "AppFailed", "message": message, "hint": hint, "detail": ""}


def mebibytes(size: int) -> str:
    """A size of memory as a person reads it."""
    return f"{size / 2**20:.0f} MiB"
