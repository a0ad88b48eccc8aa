"""What people ask for and what processes do, in any order: it comes to rest, and whoever asked has an answer.

No worker that takes requests is killed, as long as it leaves in time when it is told to.
"""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import PenstockError
from penstock.supervisor.limits import Limits
from penstock.supervisor.state import Finish, Settle, Signal, StartMold, StartWorker, State, StopMold

ERROR = {"kind": "AppFailed", "message": "shop cannot be imported", "hint": "", "detail": ""}
ENDING = "exited with status 9"
LIMITS = Limits(workers=2, most_workers=2, graceful_timeout=30.0, boot_timeout=60.0)
FACTS = {"threads": [], "warnings": [], "is_preloaded": True, "limits": LIMITS._asdict()}


class Worker:
    """A process that was forked: it may become ready, and it ends."""

    def __init__(self, number):
        self.number, self.is_ready, self.is_told = number, False, False


class Machine:
    """The processes as the state wants them, each of which may do next whatever it could really do."""

    def __init__(self):
        self.state = State(LIMITS, slots=64, chance=lambda: 0.5)
        self.now = 100.0
        self.molds = {}  # by generation: is it loaded?
        self.ending = set()  # generations whose mold was told to end
        self.asked = []  # of molds: workers that they have not forked yet
        self.workers = {}  # by pid
        self.unanswered = set()  # generations that somebody waits for
        self.pids = 1000
        self.is_finished = False
        self.ask(self.state.reload)

    def do(self, actions):
        for action in actions:
            match action:
                case StartMold(generation, _):
                    assert generation not in self.molds
                    self.molds[generation] = False
                case StopMold(generation, _):
                    self.ending.add(generation)
                case StartWorker(generation, _, _):
                    assert self.molds[generation], "only a mold that has loaded forks"
                    self.asked.append(action)
                case Signal(pid, name) if pid in self.workers:
                    assert name != "KILL" or not self.workers[pid].is_ready, "it may have requests"
                    self.workers[pid].is_told = True
                case Settle(generation, _):
                    self.unanswered.discard(generation)
                case Finish():
                    self.is_finished = True

    def ask(self, question, waits=True):
        """As supervisor/process.py does it: who asks for a generation waits for the trial that begins."""
        try:
            actions = question(self.now)
        except PenstockError:
            return
        if waits:
            self.unanswered.add(self.state.trial)
        self.do(actions)

    # -- what can happen next

    def good_events(self):
        """What happens by itself when nothing goes wrong."""
        for generation, is_loaded in self.molds.items():
            if generation in self.ending:
                yield lambda one=generation: self.end_mold(one)
            elif not is_loaded:
                yield lambda one=generation: self.load(one)
        for action in self.asked:
            if action.generation not in self.ending:
                yield lambda one=action: self.fork(one)
        for pid, worker in self.workers.items():
            if worker.is_told:
                yield lambda one=pid: self.end_worker(one)
            elif not worker.is_ready:
                yield lambda one=pid: self.become_ready(one)

    def other_events(self):
        """What people ask for, and what goes wrong."""
        yield lambda: self.ask(self.state.reload)
        yield lambda: self.ask(self.state.rollback)
        yield lambda: self.do(self.state.tick(self.pass_time(1.0)))
        for workers in (1, 3):
            yield lambda one=workers: self.ask(lambda now: self.state.scale(one, now), waits=False)
        for generation, is_loaded in self.molds.items():
            yield lambda one=generation: self.end_mold(one)
            if not is_loaded:
                yield lambda one=generation: self.fail_to_load(one)
        for pid in self.workers:
            yield lambda one=pid: self.end_worker(one)

    def pass_time(self, seconds):
        self.now += seconds
        return self.now

    def load(self, generation):
        self.molds[generation] = True
        self.do(self.state.mold_loaded(generation, FACTS, self.now))

    def fail_to_load(self, generation):
        self.ending.add(generation)
        self.do(self.state.mold_failed(generation, ERROR, self.now))

    def end_mold(self, generation):
        del self.molds[generation]
        self.ending.discard(generation)
        self.asked = [action for action in self.asked if action.generation != generation]
        self.do(self.state.mold_exited(generation, ENDING, self.now))

    def fork(self, action):
        self.asked.remove(action)
        self.pids += 1
        self.workers[self.pids] = Worker(action.number)
        self.do(self.state.worker_forked(action.generation, action.number, self.pids))

    def become_ready(self, pid):
        self.workers[pid].is_ready = True
        self.do(self.state.worker_ready(self.workers[pid].number, pid, self.now))

    def end_worker(self, pid):
        del self.workers[pid]
        self.do(self.state.worker_exited(pid, ENDING, self.now))

    def come_to_rest(self):
        """Lets happen what happens by itself, and the time pass, until nothing is left to do."""
        for _ in range(1000):
            if event := next(self.good_events(), None):
                event()
            elif not math.isinf(due := self.state.next_time()):
                self.do(self.state.tick(self.pass_time(max(0.0, due - self.now))))
            else:
                return
        raise AssertionError("it does not come to rest")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 2**16), max_size=60))
def test_it_comes_to_rest_with_the_wanted_workers_and_everybody_has_an_answer(choices):
    machine = Machine()
    for choice in choices:
        # Good events are as likely as all others together, or hardly any reload would ever succeed.
        events = list(machine.good_events()) if choice % 2 else list(machine.other_events())
        if events:
            events[choice // 2 % len(events)]()
        if machine.is_finished:
            break
    machine.come_to_rest()
    state = machine.state
    assert machine.unanswered == set()
    if machine.is_finished:
        assert (machine.molds, machine.workers) == ({}, {})
        return
    assert state.trial is None
    assert sorted(worker.generation for worker in state.workers.values()) == [state.serving] * state.wanted
    assert sorted(machine.workers) == sorted(worker.pid for worker in state.workers.values())
    assert machine.molds.keys() <= {state.serving, state.previous}
