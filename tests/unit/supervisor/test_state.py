import math

import pytest

from penstock.supervisor.state import (
    BOOT_TRIES,
    KILL_AFTER,
    LONGEST_PAUSE,
    STEADY,
    Announce,
    Finish,
    Log,
    Signal,
    SignalMolds,
    StartMold,
    StartWorker,
    State,
    StopMold,
)

GRACE = 30.0
ERROR = {"kind": "AppFailed", "message": "shop cannot be imported", "hint": "mend it", "detail": "line 3\n"}


class World:
    """Plays the processes: does what the state asks, tells it what came of it, and keeps what was done and said."""

    def __init__(self, workers=2):
        self.state = State(workers, GRACE)
        self.now = 100.0
        self.next_pid = 1000
        self.lines = []
        self.done = []
        self.finished = None

    def do(self, actions):
        """Takes actions in; returns those that are no lines."""
        done = []
        for action in actions:
            if isinstance(action, Log):
                self.lines.append(f"{action.level}: {action.message}")
                continue
            done.append(action)
            if isinstance(action, Finish):
                assert self.finished is None, "finishes once"
                self.finished = action
        self.done += done
        return done

    def facts(self, **other):
        known = {"workers": self.state.configured, "graceful_timeout": self.state.graceful_timeout}
        return {"threads": [], "warnings": []} | known | other

    def load(self, generation, **facts):
        return self.do(self.state.mold_loaded(generation, self.facts(**facts), self.now))

    def fork(self, action):
        """The mold forks the worker that it was asked for; returns its pid."""
        self.next_pid += 1
        self.do(self.state.worker_forked(action.generation, action.number, self.next_pid))
        return self.next_pid

    def ready(self, number):
        return self.do(self.state.worker_ready(number, self.state.workers[number].pid, self.now))

    def start(self, action):
        """Forks a worker and has it ready; returns what the state does then."""
        self.fork(action)
        return self.ready(action.number)

    def exit(self, pid, ending="exited with status 9"):
        return self.do(self.state.worker_exited(pid, ending, self.now))

    def pass_time(self, seconds):
        self.now += seconds
        return self.do(self.state.tick(self.now))

    def pids(self):
        return [worker.pid for worker in self.state.workers.values()]

    def boot(self):
        """Brings every wanted worker up; forgets how."""
        self.do(self.state.reload(self.now))
        waiting = self.load(self.state.latest)
        while starts := [action for action in waiting if isinstance(action, StartWorker)]:
            waiting = [action for start in starts for action in self.start(start)]
        self.done.clear()
        self.lines.clear()
        return self


def test_the_first_worker_is_tried_alone_and_then_the_others_start_together():
    world = World(workers=3)
    assert world.do(world.state.reload(world.now)) == [StartMold(1, True)]
    facts = world.facts()
    announced, first = world.do(world.state.mold_loaded(1, facts, world.now))
    assert announced == Announce(facts)
    assert first == StartWorker(1, 1, 3)
    assert world.start(first) == [StartWorker(1, 2, 3), StartWorker(1, 3, 3)]
    assert world.lines == ["info: worker 1 (pid 1001) is ready"]
    assert world.state.next_time() == math.inf


def test_warnings_of_the_application_are_written():
    world = World()
    world.do(world.state.reload(world.now))
    world.load(1, warnings=["STATIC_ROOT does not exist"])
    assert world.lines == ["warning: STATIC_ROOT does not exist"]


def test_an_application_that_cannot_be_loaded_ends_the_first_start_with_its_error():
    world = World()
    world.do(world.state.reload(world.now))
    assert world.do(world.state.mold_failed(1, ERROR, world.now)) == []
    assert world.do(world.state.mold_exited(1, "exited with status 1", world.now)) == [Finish(ERROR)]
    assert world.lines == []


def test_a_mold_that_dies_without_a_word_ends_the_first_start():
    world = World()
    world.do(world.state.reload(world.now))
    world.do(world.state.mold_exited(1, "was killed by SIGSEGV", world.now))
    assert world.finished.error["message"] == "the process that loads the application was killed by SIGSEGV"


def test_a_mold_that_dies_before_its_first_worker_is_ready_ends_the_first_start():
    world = World()
    world.do(world.state.reload(world.now))
    _, start = world.load(1)
    pid = world.fork(start)
    assert world.do(world.state.mold_exited(1, "was killed by SIGKILL", world.now)) == [Signal(pid, "QUIT")]
    assert world.exit(pid) == [Finish(world.state.error)]
    assert "was killed by SIGKILL" in world.state.error["message"]


def test_what_a_mold_that_was_given_up_still_says_changes_nothing():
    world = World()
    world.do(world.state.reload(world.now))
    world.do(world.state.reload(world.now))
    assert world.load(1) == []
    assert world.do(world.state.mold_failed(1, ERROR, world.now)) == []
    assert world.do(world.state.worker_not_forked(1, "no memory", world.now)) == []
    assert world.do(world.state.worker_failed(1, ERROR, world.now)) == []
    assert world.lines == []
    announced, start = world.load(2)
    assert isinstance(announced, Announce)
    assert start == StartWorker(2, 1, 2)


def test_a_worker_that_says_why_it_cannot_start_ends_the_first_start_at_once():
    world = World()
    world.do(world.state.reload(world.now))
    _, start = world.load(1)
    pid = world.fork(start)
    assert world.do(world.state.worker_failed(1, ERROR, world.now)) == [
        StopMold(1),
        Signal(pid, "QUIT"),
    ]
    world.exit(pid)
    world.do(world.state.mold_exited(1, "was killed by SIGTERM", world.now))
    assert world.finished == Finish(ERROR)


def test_workers_that_die_before_any_was_ready_end_the_first_start_after_some_tries():
    world = World()
    world.do(world.state.reload(world.now))
    _, start = world.load(1)
    for _ in range(BOOT_TRIES - 1):
        world.exit(world.fork(start), "was killed by SIGSEGV")
        assert world.finished is None
        assert world.pass_time(0) == []
        [start] = world.pass_time(world.state.next_time() - world.now)
    world.exit(world.fork(start), "was killed by SIGSEGV")
    world.do(world.state.mold_exited(1, "was killed by SIGTERM", world.now))
    assert "was killed by SIGSEGV before it was ready" in world.finished.error["message"]


def test_forks_that_the_system_refuses_end_the_first_start_after_some_tries():
    world = World()
    world.do(world.state.reload(world.now))
    world.load(1)
    for _ in range(BOOT_TRIES - 1):
        world.do(world.state.worker_not_forked(1, "no memory", world.now))
        world.pass_time(world.state.next_time() - world.now)
    world.do(world.state.worker_not_forked(1, "no memory", world.now))
    world.do(world.state.mold_exited(1, "was killed by SIGTERM", world.now))
    assert world.finished.error["message"] == "worker 1 cannot be forked: no memory"


def test_a_worker_that_dies_is_replaced_under_its_number_after_a_pause():
    world = World().boot()
    assert world.exit(1001) == []
    assert world.lines == ["error: worker 1 (pid 1001) exited with status 9; starting another in 0.1 s"]
    assert world.state.next_time() == pytest.approx(world.now + 0.1)
    assert world.pass_time(0.05) == []
    assert world.pass_time(0.06) == [StartWorker(1, 1, 2)]


def test_the_pause_doubles_up_to_a_limit_and_begins_anew_after_a_worker_that_was_well():
    world = World(workers=1).boot()
    pauses = []
    for _ in range(11):
        [pid] = world.pids()
        world.exit(pid)
        pauses.append(world.state.next_time() - world.now)
        [start] = world.pass_time(pauses[-1])
        world.start(start)
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, LONGEST_PAUSE, LONGEST_PAUSE])
    world.now += STEADY
    world.exit(world.pids()[0])
    assert world.state.next_time() - world.now == pytest.approx(0.1)


def test_a_mold_that_dies_leaves_its_workers_alone_and_is_replaced_when_one_is_needed():
    world = World().boot()
    assert world.do(world.state.mold_exited(1, "was killed by SIGKILL", world.now)) == []
    assert world.lines == ["warning: the process that loads the application was killed by SIGKILL; its workers go on"]
    assert world.pass_time(60) == []
    world.exit(1002)
    assert world.pass_time(60) == [StartMold(1, True)]
    assert world.load(1) == [StartWorker(1, 2, 2)]


def test_a_replacement_that_cannot_load_is_tried_again_later():
    world = World().boot()
    world.do(world.state.mold_exited(1, "was killed by SIGKILL", world.now))
    world.exit(1002)
    world.pass_time(60)
    world.do(world.state.mold_failed(1, ERROR, world.now))
    assert world.do(world.state.mold_exited(1, "exited with status 1", world.now)) == []
    assert "error: no worker can be started: shop cannot be imported\nline 3\nmend it" in world.lines
    assert world.finished is None
    assert world.pass_time(60) == [StartMold(1, True)]


def test_a_reload_lets_old_workers_leave_one_by_one_as_new_ones_are_ready():
    world = World().boot()
    assert world.do(world.state.reload(world.now)) == [StartMold(2, True)]
    [first] = world.load(2)
    assert first == StartWorker(2, 3, 2)
    assert world.start(first) == [StopMold(1), Signal(1001, "TERM"), StartWorker(2, 4, 2)]
    assert world.state.serving == 2
    second = StartWorker(2, 4, 2)
    assert world.exit(1001, "exited with status 0") == []
    assert world.start(second) == [Signal(1002, "TERM")]
    assert world.exit(1002, "exited with status 0") == []
    assert world.do(world.state.mold_exited(1, "was killed by SIGTERM", world.now)) == []
    assert sorted(world.pids()) == [1003, 1004]
    assert "info: worker 2 (pid 1002) has left" in world.lines


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_reload_never_leaves_fewer_workers_than_wanted(workers):
    world = World(workers).boot()
    world.do(world.state.reload(world.now))
    waiting = world.load(2)
    while starts := [action for action in waiting if isinstance(action, StartWorker)]:
        [start] = starts
        waiting = world.start(start)
        serving = [w for w in world.state.workers.values() if w.ready_at is not None and not w.is_leaving]
        assert len(serving) == workers
    assert {w.generation for w in world.state.workers.values() if not w.is_leaving} == {2}


def test_a_reload_that_fails_keeps_the_old_workers_and_says_why():
    world = World().boot()
    world.do(world.state.reload(world.now))
    world.lines.clear()
    assert world.do(world.state.mold_failed(2, ERROR, world.now)) == []
    assert world.do(world.state.mold_exited(2, "exited with status 1", world.now)) == []
    [line] = world.lines
    assert line.startswith("error: generation 2 failed, generation 1 serves on: shop cannot be imported")
    assert world.pids() == [1001, 1002]
    assert world.exit(1001) == []
    assert world.pass_time(1) == [StartWorker(1, 1, 2)]


def test_a_reload_whose_first_worker_dies_fails_at_once():
    world = World().boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2)
    assert world.exit(world.fork(start), "was killed by SIGSEGV") == [StopMold(2)]
    assert "generation 2 failed, generation 1 serves on: worker 3" in world.lines[-1]


def test_a_reload_during_a_reload_gives_up_the_older_code():
    world = World().boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2)
    pid = world.fork(start)
    assert world.do(world.state.reload(world.now)) == [StopMold(2), Signal(pid, "KILL"), StartMold(3, True)]
    assert world.exit(pid, "was killed by SIGKILL") == []
    assert world.do(world.state.mold_exited(2, "was killed by SIGTERM", world.now)) == []
    [start] = world.load(3)
    assert StopMold(1) in world.start(start)
    assert world.state.serving == 3


def test_a_reload_takes_over_a_new_number_of_workers():
    world = World(workers=2).boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2, workers=1)
    assert world.start(start) == [StopMold(1), Signal(1001, "TERM"), Signal(1002, "TERM")]


def test_a_reload_takes_over_a_new_graceful_timeout():
    world = World(workers=1).boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2, graceful_timeout=5.0)
    world.start(start)
    assert world.state.next_time() == world.now + 5.0 + KILL_AFTER


def test_a_reload_keeps_a_number_that_was_changed_by_signal():
    world = World(workers=1).boot()
    [start] = world.do(world.state.scale(+1, world.now))
    world.start(start)
    world.do(world.state.reload(world.now))
    world.load(2)
    assert world.state.wanted == 2


def test_an_application_with_threads_is_loaded_by_each_worker():
    world = World()
    world.do(world.state.reload(world.now))
    [announced] = world.load(1, threads=["ticker"])
    assert isinstance(announced, Announce)
    assert "started threads (ticker)" in world.lines[0]
    assert world.do(world.state.mold_exited(1, "exited with status 0", world.now)) == [StartMold(1, False)]
    assert world.load(1) == [StartWorker(1, 1, 2)]


def test_a_worker_is_added_and_removed():
    world = World().boot()
    assert world.do(world.state.scale(+1, world.now)) == [StartWorker(1, 3, 3)]
    world.start(StartWorker(1, 3, 3))
    assert world.do(world.state.scale(-1, world.now)) == [Signal(1003, "TERM")]
    assert world.exit(1003, "exited with status 0") == []


def test_one_worker_always_remains():
    world = World(workers=1).boot()
    assert world.do(world.state.scale(-1, world.now)) == []
    assert world.state.wanted == 1


def test_a_stop_is_graceful_and_ends_when_everybody_has_left():
    world = World().boot()
    assert world.do(world.state.stop(world.now)) == [StopMold(1), Signal(1001, "TERM"), Signal(1002, "TERM")]
    assert world.exit(1001, "exited with status 0") == []
    assert world.do(world.state.mold_exited(1, "was killed by SIGTERM", world.now)) == []
    assert world.exit(1002, "exited with status 0") == [Finish(None)]
    assert world.lines == ["info: stopping: requests in flight are finished", "info: stopped"]


def test_a_second_stop_is_at_once():
    world = World(workers=1).boot()
    world.do(world.state.stop(world.now))
    assert world.do(world.state.stop(world.now)) == [Signal(1001, "QUIT")]
    assert world.state.next_time() == world.now + KILL_AFTER


def test_who_does_not_leave_in_time_is_killed():
    world = World(workers=1).boot()
    world.do(world.state.stop(world.now))
    assert world.state.next_time() == world.now + GRACE + KILL_AFTER
    assert world.pass_time(GRACE + KILL_AFTER) == [Signal(1001, "KILL"), SignalMolds("KILL")]
    assert world.state.next_time() == math.inf


def test_an_old_worker_that_does_not_leave_after_a_reload_is_killed():
    world = World(workers=1).boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2)
    world.start(start)
    assert world.pass_time(GRACE + KILL_AFTER) == [Signal(1001, "KILL")]


def test_nothing_is_started_while_stopping():
    world = World().boot()
    world.do(world.state.stop(world.now))
    for actions in (
        world.state.reload(world.now),
        world.state.scale(+1, world.now),
        world.state.worker_exited(1001, "exited with status 0", world.now),
        world.state.tick(world.now + 1),
    ):
        assert world.do(actions) == []


def test_a_stop_while_the_application_is_being_loaded_waits_for_the_mold_only():
    world = World()
    world.do(world.state.reload(world.now))
    assert world.do(world.state.stop(world.now)) == [StopMold(1)]
    assert world.do(world.state.mold_exited(1, "was killed by SIGTERM", world.now)) == [Finish(None)]


def test_a_worker_that_was_asked_for_but_never_forked_keeps_nobody_waiting():
    world = World()
    world.do(world.state.reload(world.now))
    world.load(1)
    world.do(world.state.stop(world.now))
    assert world.do(world.state.mold_exited(1, "was killed by SIGTERM", world.now)) == [Finish(None)]


def test_a_worker_forked_while_stopping_is_told_to_leave():
    world = World()
    world.do(world.state.reload(world.now))
    _, start = world.load(1)
    world.do(world.state.stop(world.now))
    world.fork(start)
    assert world.done[-1] == Signal(1001, "TERM")


def test_a_worker_of_a_mold_that_was_given_up_is_ended():
    world = World().boot()
    assert world.do(world.state.worker_forked(7, 9, 4711)) == [Signal(4711, "KILL")]
    assert world.do(world.state.worker_ready(9, 4711, world.now)) == []
    assert world.exit(4711) == []


def test_every_process_reopens_its_logs():
    world = World().boot()
    assert world.do(world.state.reopen_logs()) == [SignalMolds("USR1"), Signal(1001, "USR1"), Signal(1002, "USR1")]
    assert world.lines == ["info: log files are opened anew"]
