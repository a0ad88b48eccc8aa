import math

import pytest

from penstock.errors import PenstockError
from penstock.supervisor.limits import Limits
from penstock.supervisor.load import Reading
from penstock.supervisor.state import (
    BOOT_GRACE,
    BOOT_TRIES,
    KILL_AFTER,
    LONGEST_PAUSE,
    LOOK_EVERY,
    MEMORY_EVERY,
    STEADY,
    Announce,
    Finish,
    HoldOff,
    Log,
    Look,
    Settle,
    Signal,
    SignalMolds,
    StartMold,
    StartWorker,
    State,
    StopCompanions,
    StopMold,
)

GRACE = 30.0
BOOT = 60.0
ERROR = {"kind": "AppFailed", "message": "shop cannot be imported", "hint": "mend it", "detail": "line 3\n"}


class World:
    """Plays the processes: does what the state asks, tells it what came of it, and keeps what was done and said."""

    def __init__(self, workers=2, **limits):
        most = limits.pop("most_workers", workers)
        self.state = State(Limits(workers, most, GRACE, BOOT, **limits), slots=64, chance=lambda: 0.5)
        self.settled = {}
        self.now = 100.0
        self.next_pid = 1000
        self.lines = []
        self.done = []
        self.finished = None

    def do(self, actions):
        """Takes actions in; returns those that are neither lines nor answers."""
        done = []
        for action in actions:
            if isinstance(action, Log):
                self.lines.append(f"{action.level}: {action.message}")
                continue
            if isinstance(action, Settle):
                self.settled[action.generation] = action.error
                continue
            done.append(action)
            if isinstance(action, Finish):
                assert self.finished is None, "finishes once"
                self.finished = action
        self.done += done
        return done

    def facts(self, **other):
        limits = {name: other.pop(name) for name in Limits._fields if name in other}
        limits = self.state.limits._replace(**limits)._asdict()
        return {"threads": [], "warnings": [], "is_preloaded": True, "limits": limits} | other

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
    for number in (2, 3):
        world.fork(StartWorker(1, number, 3))
        world.ready(number)
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
    assert world.start(first) == [Signal(1001, "TERM"), StartWorker(2, 4, 2)]
    assert world.state.serving == 2
    second = StartWorker(2, 4, 2)
    assert world.exit(1001, "exited with status 0") == []
    assert world.start(second) == [Signal(1002, "TERM")]
    assert world.exit(1002, "exited with status 0") == []
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
    world.start(start)
    assert (world.state.serving, world.state.previous) == (3, 1)


def test_a_reload_takes_over_a_new_number_of_workers():
    world = World(workers=2).boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2, workers=1, most_workers=1)
    assert world.start(start) == [Signal(1001, "TERM"), Signal(1002, "TERM")]


def test_a_reload_takes_over_a_new_graceful_timeout():
    world = World(workers=1).boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2, graceful_timeout=5.0)
    world.start(start)
    assert world.state.next_time() == world.now + 5.0 + KILL_AFTER


def test_a_reload_keeps_a_number_that_was_changed_by_signal():
    world = World(workers=1).boot()
    [start] = world.do(world.state.scale(world.state.wanted + 1, world.now))
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
    assert world.do(world.state.scale(world.state.wanted + 1, world.now)) == [StartWorker(1, 3, 3)]
    world.start(StartWorker(1, 3, 3))
    assert world.do(world.state.scale(world.state.wanted - 1, world.now)) == [Signal(1003, "TERM")]
    assert world.exit(1003, "exited with status 0") == []


def test_one_worker_always_remains():
    world = World(workers=1).boot()
    with pytest.raises(PenstockError, match="there can be 1 to 32 workers"):
        world.state.scale(0, world.now)
    assert world.state.wanted == 1


def test_a_stop_is_graceful_and_ends_when_everybody_has_left():
    world = World().boot()
    leave = [Signal(1001, "TERM"), Signal(1002, "TERM")]
    assert world.do(world.state.stop(world.now)) == [StopMold(1), HoldOff()]
    assert world.do(world.state.held_off()) == leave
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
    for ask in (world.state.reload, world.state.rollback, lambda now: world.state.scale(3, now)):
        with pytest.raises(PenstockError, match="the supervisor is stopping"):
            ask(world.now)
    assert world.exit(1001, "exited with status 0") == []
    assert world.pass_time(1) == []


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


def test_who_asked_for_a_reload_hears_when_the_new_generation_serves():
    world = World().boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2)
    assert 2 not in world.settled
    world.start(start)
    assert world.settled[2] is None


def test_who_asked_for_a_reload_hears_why_it_failed():
    world = World().boot()
    world.do(world.state.reload(world.now))
    world.do(world.state.mold_failed(2, ERROR, world.now))
    assert world.settled[2] == ERROR


def test_who_asked_for_a_reload_hears_that_another_one_or_the_end_came_first():
    world = World().boot()
    world.do(world.state.reload(world.now))
    world.do(world.state.reload(world.now))
    assert "generation 2 was given up" in world.settled[2]["message"]
    world.do(world.state.stop(world.now))
    assert "stopping" in world.settled[3]["message"]


def reloaded(**limits):
    """A world whose second generation serves with one worker, and whose first has left its mold behind."""
    world = World(workers=1, **limits).boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2)
    world.start(start)
    world.exit(1001, "exited with status 0")
    world.done.clear()
    return world


def test_a_rollback_forks_from_the_kept_mold_at_once_and_the_roles_swap():
    world = reloaded()
    assert world.state.previous == 1
    [start] = world.do(world.state.rollback(world.now))
    assert start == StartWorker(1, 1, 1)
    assert world.start(start) == [Signal(1002, "TERM")]
    assert (world.state.serving, world.state.previous) == (1, 2)
    assert world.settled[1] is None
    world.exit(1002, "exited with status 0")
    [start] = world.do(world.state.rollback(world.now))
    world.start(start)
    assert (world.state.serving, world.state.previous) == (2, 1)


def test_a_rollback_whose_worker_dies_changes_nothing():
    world = reloaded()
    [start] = world.do(world.state.rollback(world.now))
    assert world.exit(world.fork(start), "was killed by SIGSEGV") == [StopMold(1)]
    assert world.state.serving == 2
    assert "was killed by SIGSEGV" in world.settled[1]["message"]
    with pytest.raises(PenstockError, match="there is no previous generation"):
        world.state.rollback(world.now)


def test_a_reload_ends_the_mold_that_was_kept_before():
    world = reloaded()
    world.do(world.state.reload(world.now))
    [start] = world.load(3)
    assert world.start(start) == [StopMold(1), Signal(1002, "TERM")]
    assert world.state.previous == 2


def test_no_mold_is_kept_when_the_configuration_says_so():
    world = World(workers=1).boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2, keep_previous=False)
    assert world.start(start) == [StopMold(1), Signal(1001, "TERM")]
    with pytest.raises(PenstockError, match="there is no previous generation"):
        world.state.rollback(world.now)


def test_a_generation_that_each_worker_loads_for_itself_is_not_kept():
    world = World(workers=1)
    world.do(world.state.reload(world.now))
    _, start = world.load(1, is_preloaded=False)
    world.start(start)
    world.do(world.state.reload(world.now))
    [start] = world.load(2)
    assert world.start(start) == [StopMold(1), Signal(1001, "TERM")]
    assert world.state.previous == 0


def test_a_kept_mold_that_dies_cannot_be_rolled_back_to():
    world = reloaded()
    world.do(world.state.mold_exited(1, "was killed by SIGKILL", world.now))
    assert world.lines[-1].endswith("was killed by SIGKILL; generation 1 cannot be rolled back to")
    with pytest.raises(PenstockError, match="there is no previous generation"):
        world.state.rollback(world.now)


def test_an_application_that_hangs_while_it_is_loaded_is_given_up_and_the_old_one_serves_on():
    world = World().boot()
    world.do(world.state.reload(world.now))
    assert world.state.next_time() == world.now + BOOT + BOOT_GRACE
    assert world.pass_time(BOOT + BOOT_GRACE) == [StopMold(2, at_once=True)]
    world.do(world.state.mold_exited(2, "was killed by SIGKILL", world.now))
    assert "took longer than boot_timeout" in world.settled[2]["message"]
    assert world.state.serving == 1


def test_a_worker_that_never_becomes_ready_is_killed_and_fails_the_reload():
    world = World().boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2)
    pid = world.fork(start)
    assert world.pass_time(BOOT + BOOT_GRACE) == [Signal(pid, "KILL")]
    world.exit(pid, "was killed by SIGKILL")
    assert "was not ready within boot_timeout" in world.settled[2]["message"]


def test_nobody_looks_at_counters_that_matter_to_nobody():
    assert World().boot().state.next_time() == math.inf


def test_counters_are_looked_at_once_a_second_and_memory_more_rarely():
    world = World(max_memory=1).boot()
    looks = []
    for _ in range(MEMORY_EVERY):
        looks += world.do(world.state.tick(world.now))
        assert world.do(world.state.observe({}, world.now)) == []
        assert world.state.next_time() == world.now + LOOK_EVERY
        world.now += LOOK_EVERY
    assert [look.with_memory for look in looks] == [True] + [False] * (MEMORY_EVERY - 1)
    assert isinstance(looks[0], Look)


def look(world, **readings):
    """Shows the state a reading for each worker, by "w1" and so on."""
    return world.do(world.state.observe({int(name[1:]): reading for name, reading in readings.items()}, world.now))


DUE = {
    "requests": ({"max_requests": 100, "max_requests_jitter": 20}, Reading(requests=110), "has had 110 requests"),
    "memory": ({"max_memory": 2**20}, Reading(memory=3 * 2**20), "uses 3 MiB"),
    "lifetime": ({"max_lifetime": 60.0}, Reading(), "has served for 60 s"),
    "stuck": ({"timeout": 30.0}, Reading(stuck=1), "has a thread that does not come back"),
}


@pytest.mark.parametrize("reason", DUE)
def test_a_worker_that_is_due_leaves_when_its_replacement_is_ready(reason):
    limits, reading, words = DUE[reason]
    world = World(**limits).boot()
    world.now += 60
    [start] = look(world, w1=reading)
    assert world.lines == [
        f"{'error' if reason == 'stuck' else 'info'}: worker 1 (pid 1001) {words}; starting another in its place"
    ]
    world.fork(start)
    assert look(world, w1=reading) == []
    assert world.ready(start.number) == [Signal(1001, "TERM")]
    assert world.state.restarts[reason] == 1
    assert world.exit(1001, "exited with status 0") == []


def test_only_one_worker_is_recycled_at_a_time():
    world = World(max_requests=100).boot()
    worn = Reading(requests=100)
    [start] = look(world, w1=worn, w2=worn)
    world.start(start)
    assert look(world, w2=worn) == []
    world.exit(1001, "exited with status 0")
    [start] = look(world, w2=worn)
    assert world.start(start) == [Signal(1002, "TERM")]


def test_stuck_workers_are_replaced_together():
    world = World(timeout=30.0).boot()
    stuck = Reading(stuck=2)
    assert len(look(world, w1=stuck, w2=stuck)) == 2


def test_a_stuck_worker_that_does_not_leave_is_killed():
    world = World(workers=1, timeout=30.0).boot()
    [start] = look(world, w1=Reading(stuck=1))
    world.start(start)
    assert Signal(1001, "KILL") in world.pass_time(GRACE + KILL_AFTER)


def test_a_replacement_that_cannot_be_loaded_keeps_the_worker_that_is_due():
    world = World(workers=1, max_requests=100).boot()
    world.do(world.state.mold_exited(1, "was killed by SIGKILL", world.now))
    assert world.pass_time(60) == [Look(False)]
    assert look(world, w1=Reading(requests=100)) == [StartMold(1, True)]
    world.do(world.state.mold_failed(1, ERROR, world.now))
    world.do(world.state.mold_exited(1, "exited with status 1", world.now))
    assert world.pids() == [1001]
    assert not world.state.workers[1].is_leaving


def test_a_worker_far_too_large_is_killed_and_replaced_at_once():
    world = World(max_memory_hard=2**20).boot()
    kill, start = look(world, w1=Reading(memory=2 * 2**20))
    assert kill == Signal(1001, "KILL")
    assert start == StartWorker(1, 3, 2)
    assert world.exit(1001, "was killed by SIGKILL") == []
    assert world.state.restarts == dict.fromkeys(world.state.restarts, 0) | {"memory": 1}


def test_each_worker_that_goes_is_counted_with_its_reason():
    world = World().boot()
    world.exit(1002)
    world.pass_time(1)
    world.start(StartWorker(1, 2, 2))
    world.do(world.state.scale(1, world.now))
    assert world.state.restarts["crash"] == 1
    assert world.state.restarts["scale"] == 1


def test_there_are_never_more_workers_than_there_is_room_for():
    world = World(workers=30).boot()
    world.do(world.state.scale(32, world.now))
    for number in (31, 32):
        world.start(StartWorker(1, number, 32))
    for worker in list(world.state.workers.values()):
        world.do([world.state.retire(worker, world.now)])
    assert len(world.do(world.state.fill(world.now))) == 32
    assert world.do(world.state.fill(world.now)) == []


def test_the_number_of_workers_follows_the_load_within_its_bounds():
    world = World(workers=1, most_workers=2).boot()
    busy = {"taken": 0, "waiting": 5}
    for _ in range(3):
        world.now += 1
        look(world, w1=Reading(**busy))
    assert world.state.wanted == 2
    assert world.lines[-1] == "info: 2 workers are wanted now: requests wait for long"
    for _ in range(20):
        world.now += 1
        look(world, w1=Reading(**busy))
    assert world.state.wanted == 2


def test_a_reload_that_fails_changes_no_limit():
    world = World(workers=2).boot()
    world.do(world.state.reload(world.now))
    world.load(2, workers=5, most_workers=5)
    world.do(world.state.worker_not_forked(3, "no memory", world.now))
    assert world.state.serving == 1
    assert world.state.wanted == 2


def test_a_mold_that_hangs_while_it_forks_is_ended_and_replaced():
    world = World(workers=1).boot()
    world.exit(1001)
    world.pass_time(1)
    assert world.pass_time(BOOT + BOOT_GRACE) == [StopMold(1, at_once=True)]
    world.do(world.state.mold_exited(1, "was killed by SIGKILL", world.now))
    assert world.lines[-1].endswith("took longer than boot_timeout; its workers go on")
    assert world.pass_time(1) == [StartMold(1, True)]


def test_a_reload_that_asks_for_more_workers_than_there_is_room_for_gets_what_there_is():
    world = World(workers=1).boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2, workers=100, most_workers=200)
    world.start(start)
    assert world.state.wanted == world.state.room == 32
    assert "warning: there is room for 32 workers, not 100, until a restart" in world.lines
    for _ in range(5):
        world.now += 1
        look(world, w2=Reading(waiting=5))
    assert world.state.wanted == 32


def test_resting_workers_leave_and_come_back_with_the_next_that_is_wanted():
    world = World(workers=2).boot()
    first, second = world.pids()
    assert sorted(world.do(world.state.rest(world.now))) == [Signal(first, "TERM"), Signal(second, "TERM")]
    assert world.exit(first) == world.exit(second) == []
    assert world.state.next_time() == math.inf
    assert world.do(world.state.scale(1, world.now)) == [StartWorker(1, 1, 1)]


def test_a_worker_that_becomes_ready_while_the_others_rest_leaves_too():
    world = World(workers=2).boot()
    [start] = world.do(world.state.scale(3, world.now))
    pid = world.fork(start)
    world.do(world.state.rest(world.now))
    assert world.ready(start.number) == [Signal(pid, "TERM")]


def test_a_reload_brings_as_many_workers_back_as_the_configuration_says():
    world = World(workers=2).boot()
    for pid in world.pids():
        world.do(world.state.rest(world.now))
        world.exit(pid)
    world.do(world.state.reload(world.now))
    [start] = world.load(2)
    assert start == StartWorker(2, 1, 2)
    assert [action for action in world.start(start) if isinstance(action, StartWorker)] == [StartWorker(2, 2, 2)]


def test_who_stops_does_not_rest():
    world = World().boot()
    world.do(world.state.stop(world.now))
    with pytest.raises(PenstockError, match="the supervisor is stopping"):
        world.state.rest(world.now)


def test_the_state_of_a_worker_is_a_word():
    world = World(workers=1)
    world.do(world.state.reload(world.now))
    [start] = [action for action in world.load(1) if isinstance(action, StartWorker)]
    [worker] = world.state.workers.values()
    assert worker.state == "starting"
    world.start(start)
    assert worker.state == "ready"
    world.do(world.state.stop(world.now))
    assert worker.state == "leaving"


def test_a_rollback_during_a_rollback_is_refused_and_changes_nothing():
    world = reloaded()
    world.do(world.state.rollback(world.now))
    with pytest.raises(PenstockError, match="the previous generation is being started already"):
        world.state.rollback(world.now)
    assert (world.state.serving, world.state.trial, world.state.previous) == (2, 1, 1)


def rolled_back_in_the_middle():
    """Two workers of generation 1: one finishes its requests, one still takes some, and it is asked for again.

    Returns the start of the worker on trial.
    """
    world = World(workers=2).boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2)
    world.start(start)
    assert [(w.number, w.generation) for w in world.state.workers.values() if w.takes_requests] == [(2, 1), (3, 2)]
    world.done.clear()
    [start] = [one for one in world.do(world.state.rollback(world.now)) if one.generation == 1]
    return world, start


def test_a_rollback_before_the_old_workers_have_left_tries_a_worker_of_its_own_and_keeps_those():
    world, start = rolled_back_in_the_middle()
    assert start == StartWorker(1, 5, 2)
    world.start(start)
    assert (world.state.serving, world.state.previous) == (1, 2)
    assert world.settled[1] is None
    staying = [worker for worker in world.state.workers.values() if not worker.is_leaving]
    assert [worker.generation for worker in staying if worker.takes_requests] == [1, 1]


def test_a_rollback_that_fails_kills_no_worker_that_has_requests():
    world, start = rolled_back_in_the_middle()
    world.exit(world.fork(start), "was killed by SIGSEGV")
    assert world.state.serving == 2
    assert Signal(1001, "KILL") not in world.done
    assert Signal(1002, "KILL") not in world.done


def test_a_reload_during_a_rollback_kills_no_worker_that_has_requests():
    world, start = rolled_back_in_the_middle()
    pid = world.fork(start)
    world.do(world.state.reload(world.now))
    assert [action for action in world.done if isinstance(action, Signal)] == [Signal(pid, "KILL")]


def test_an_old_worker_that_dies_during_a_rollback_does_not_fail_it():
    world, start = rolled_back_in_the_middle()
    world.fork(start)
    world.exit(1002, "was killed by SIGKILL")
    assert (world.state.serving, world.state.trial) == (2, 1)
    world.ready(start.number)
    assert world.state.serving == 1


def test_a_rollback_whose_mold_dies_changes_nothing():
    world = reloaded()
    world.do(world.state.rollback(world.now))
    world.do(world.state.mold_exited(1, "was killed by SIGKILL", world.now))
    assert (world.state.serving, world.state.trial, world.state.previous) == (2, None, 0)
    assert world.settled[1]["message"] == "the process that loads the application was killed by SIGKILL"


def test_a_replacement_that_says_why_it_cannot_start_is_written_and_tried_again():
    world = World(workers=1).boot()
    world.exit(1001)
    [start] = world.pass_time(1)
    pid = world.fork(start)
    assert world.do(world.state.worker_failed(1, ERROR, world.now)) == []
    assert world.lines[-1].startswith("error: worker 1 cannot start: shop cannot be imported")
    world.exit(pid, "exited with status 1")
    assert world.pass_time(1) == [StartWorker(1, 1, 1)]


def test_a_reload_gives_a_worker_up_that_was_asked_for_and_not_yet_forked():
    world = World(workers=1).boot()
    world.do(world.state.reload(world.now))
    [start] = world.load(2)
    assert world.do(world.state.reload(world.now)) == [StopMold(2), StartMold(3, True)]
    pid = world.fork(start)
    assert Signal(pid, "TERM") in world.done


def test_a_release_command_has_its_own_time_before_that_of_the_application():
    world = World()
    world.do(world.state.reload(world.now))
    world.do(world.state.mold_releasing(1, 600, world.now))
    assert world.state.next_time() == world.now + 600 + BOOT + BOOT_GRACE


def test_the_supervisor_leaves_when_what_runs_beside_the_web_has_left_too():
    world = World(workers=1).boot()
    world.state.has_companions = True
    [pid] = world.pids()
    assert StopCompanions(at_once=False) in world.do(world.state.stop(world.now))
    assert StopCompanions(at_once=True) in world.do(world.state.stop(world.now))
    world.exit(pid)
    world.do(world.state.mold_exited(1, "was killed by SIGTERM", world.now))
    assert world.finished is None
    assert world.do(world.state.companions_left()) == [Finish(None)]
    assert world.do(world.state.companions_left()) == []


def test_what_runs_beside_the_web_may_leave_before_the_workers_do():
    world = World(workers=1).boot()
    world.state.has_companions = True
    [pid] = world.pids()
    world.do(world.state.stop(world.now))
    assert world.do(world.state.companions_left()) == []
    world.do(world.state.mold_exited(1, "was killed by SIGTERM", world.now))
    assert world.exit(pid) == [Finish(None)]
