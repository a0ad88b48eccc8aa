import math

import pytest

from penstock.companions.plan import NOTHING, Command, Job, Process
from penstock.companions.state import LATE, LOOK_EVERY, Ending, Signal, Start, State
from penstock.errors import PenstockError, UsageError
from penstock.supervisor.state import FIRST_PAUSE, LONGEST_PAUSE, STEADY, Log

GRACE = 30.0
EVERY = 300.0  # seconds between two runs of each job
BADLY = Ending("exited with status 3", False)
WELL = Ending("exited with status 0", True)


def process(name="queue", text="celery worker", restart="always", **other):
    return Process(Command(name, text, {}, "log", other.get("stop_signal", "TERM"), GRACE), restart)


def job(name="tidy", text="tidy", timeout=0.0, overlap="skip"):
    return Job(Command(name, text, {}, "log", "TERM", GRACE), "*/5 * * * *", timeout, overlap)


def plan(*parts):
    return NOTHING._replace(
        processes=[part for part in parts if isinstance(part, Process)],
        jobs=[part for part in parts if isinstance(part, Job)],
    )


class World:
    """Plays the processes and both clocks; keeps what was started, signalled and said."""

    def __init__(self, *parts):
        self.state = State(lambda _, wall: (wall // EVERY + 1) * EVERY)
        self.now, self.wall = 50.0, 10 * EVERY + 1
        self.next_pid = 100
        self.pids = {}
        self.refusal = ""
        self.lines, self.signals, self.starts = [], [], []
        self.serve(*parts)

    def do(self, actions):
        for action in actions:
            match action:
                case Log(level, message):
                    self.lines.append(f"{level}: {message}")
                case Signal(pid, name, to_group):
                    self.signals.append((pid, name, to_group))
                case Start(handle):
                    self.starts.append(handle.command.text)
                    if self.refusal:
                        self.do(self.state.refused(handle, self.refusal, self.now, self.wall))
                        continue
                    self.next_pid += 1
                    self.pids[handle.command.name] = self.next_pid
                    self.do(self.state.started(handle, self.next_pid, self.now, self.wall))

    def serve(self, *parts):
        self.do(self.state.serve(plan(*parts), self.now, self.wall))

    def end(self, name, ending=BADLY):
        self.do(self.state.exited(self.pids[name], ending, self.now, self.wall))

    def wait(self, seconds):
        self.now += seconds
        self.wall += seconds
        self.do(self.state.tick(self.now, self.wall))

    def wait_until_due(self):
        self.wait(self.state.jobs["tidy"].due - self.wall)

    def state_of(self, name="queue"):
        return self.state.processes[name].describe()["state"]


def test_processes_are_started_when_a_generation_serves():
    world = World(process("queue"), process("beat", "celery beat"))
    assert world.starts == ["celery worker", "celery beat"]
    assert world.lines == ["info: process queue (pid 101) is started", "info: process beat (pid 102) is started"]


def test_a_process_that_ends_is_started_again_after_a_pause_that_grows_up_to_its_limit():
    world = World(process())
    pauses = []
    for _ in range(12):
        world.end("queue")
        assert world.state_of() == "waiting"
        pauses.append(world.state.next_time(world.now, world.wall) - world.now)
        world.wait(pauses[-1])
        assert world.state_of() == "running"
    assert pauses[:3] == pytest.approx([FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE])
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE)
    assert "error: process queue (pid 101) exited with status 3; starting another in 0.1 s" in world.lines
    assert world.state.processes["queue"].restarts == 12


def test_the_pause_begins_anew_after_a_steady_life():
    world = World(process())
    for _ in range(5):
        world.end("queue")
        world.wait(LONGEST_PAUSE)
    world.wait(STEADY)
    world.end("queue")
    assert world.state.next_time(world.now, world.wall) == pytest.approx(world.now + FIRST_PAUSE)


@pytest.mark.parametrize(
    ("restart", "ending", "is_restarted"),
    [
        ("always", WELL, True),
        ("always", BADLY, True),
        ("on-failure", WELL, False),
        ("on-failure", BADLY, True),
        ("never", WELL, False),
        ("never", BADLY, False),
    ],
)
def test_restart_says_after_which_end_a_process_is_started_again(restart, ending, is_restarted):
    world = World(process(restart=restart))
    world.end("queue", ending)
    world.wait(LONGEST_PAUSE)
    assert len(world.starts) == 1 + is_restarted
    assert world.state_of() == ("running" if is_restarted else "ended")


def test_a_command_that_cannot_be_started_is_tried_again():
    world = World()
    world.refusal = "No such file or directory: celery"
    world.serve(process())
    assert world.lines == [
        "error: process queue cannot be started: No such file or directory: celery; starting another in 0.1 s"
    ]
    world.refusal = ""
    world.wait(FIRST_PAUSE)
    assert world.state_of() == "running"


def test_a_new_generation_replaces_each_process_when_the_old_one_has_left():
    world = World(process("queue"), process("gone", "gone"))
    world.serve(process("queue", "celery worker --new"), process("fresh", "fresh"))
    assert world.signals == [(101, "TERM", False), (102, "TERM", False)]
    assert world.starts == ["celery worker", "gone", "fresh"]
    world.end("queue", WELL)
    world.end("gone", WELL)
    assert world.starts == ["celery worker", "gone", "fresh", "celery worker --new"]
    assert list(world.state.processes) == ["queue", "fresh"]
    assert world.state.processes["queue"].restarts == 0


def test_a_new_generation_starts_at_once_what_waited_or_had_ended():
    world = World(process("once", restart="never"), process("flaky"))
    world.end("once", WELL)
    world.end("flaky")
    world.serve(process("once", "once 2", restart="never"))
    assert world.starts[2:] == ["once 2"]
    assert list(world.state.processes) == ["once"]


def test_the_newest_of_several_generations_wins():
    world = World(process("queue", "one"))
    world.serve(process("queue", "two"))
    world.serve(process("queue", "three"))
    world.end("queue", WELL)
    assert world.starts == ["one", "three"]
    assert world.signals == [(101, "TERM", False)]


def test_a_process_that_does_not_leave_is_killed_with_all_that_it_has_started():
    world = World(process(stop_signal="INT"))
    world.do(world.state.stop(world.now, at_once=False))
    assert world.state.next_time(world.now, world.wall) == world.now + GRACE
    world.wait(GRACE)
    assert world.signals == [(101, "INT", False), (101, "KILL", True)]
    assert world.lines[-1] == "warning: process queue (pid 101) does not leave; killing it"
    assert not world.state.is_gone
    world.end("queue")
    assert world.state.is_gone


def test_what_a_shell_runs_is_asked_to_end_as_a_group():
    world = World(process(text="cd shop && celery worker"))
    world.do(world.state.stop(world.now, at_once=False))
    assert world.signals == [(101, "TERM", True)]


def test_a_second_stop_kills_at_once_and_nothing_is_started_any_more():
    world = World(process("queue"), process("flaky"), job())
    world.end("flaky")
    world.do(world.state.stop(world.now, at_once=False))
    world.do(world.state.stop(world.now, at_once=True))
    assert world.signals == [(101, "TERM", False), (101, "KILL", True)]
    world.serve(process("late"))
    world.wait(EVERY)
    world.end("queue")
    assert world.starts == ["celery worker", "celery worker"]
    assert world.state.is_gone
    assert math.isinf(world.state.next_time(world.now, world.wall))
    with pytest.raises(PenstockError, match="stopping"):
        world.state.restart("queue", world.now, world.wall)


def test_a_process_is_restarted_by_its_name_or_by_that_of_all_of_its_kind():
    world = World(process("queue.1", "one"), process("queue.2", "two"), process("beat", "beat"))
    world.do(world.state.restart("queue", world.now, world.wall))
    assert world.signals == [(101, "TERM", False), (102, "TERM", False)]
    world.end("queue.1", WELL)
    world.end("queue.2", WELL)
    assert world.starts[3:] == ["one", "two"]
    world.do(world.state.restart("queue.2", world.now, world.wall))
    assert len(world.signals) == 3


def test_a_restart_during_a_reload_starts_what_the_reload_has_brought():
    world = World(process("queue", "old"))
    world.serve(process("queue", "new"))
    world.do(world.state.restart("queue", world.now, world.wall))
    world.end("queue", WELL)
    assert world.starts == ["old", "new"]


def test_a_restart_starts_what_had_ended_for_good():
    world = World(process(restart="never"))
    world.end("queue", WELL)
    world.do(world.state.restart("queue", world.now, world.wall))
    assert world.state_of() == "running"


def test_the_restart_of_a_process_that_there_is_not_names_the_most_similar_one():
    with pytest.raises(UsageError) as caught:
        World(process()).state.restart("queu", 0, 0)
    assert (caught.value.message, caught.value.hint) == ("there is no process 'queu'", "did you mean 'queue'?")


def test_a_job_runs_when_it_is_due_and_not_before():
    world = World(job())
    assert world.state.next_time(world.now, world.wall) == world.now + LOOK_EVERY
    world.wait(EVERY - 2)
    assert world.starts == []
    world.wait_until_due()
    assert world.starts == ["tidy"]
    world.now, world.wall = world.now + 2, world.wall + 2
    world.end("tidy", WELL)
    assert world.lines[-1] == "info: job tidy (pid 101) exited with status 0 after 2.0 s"
    described = world.state.jobs["tidy"].describe()
    assert (described["runs"], described["failures"], described["state"]) == (1, 0, "waiting")
    assert described["last"]["is_success"]
    assert described["next"] == 12 * EVERY


def test_a_run_that_would_overlap_is_skipped():
    world = World(job())
    world.wait_until_due()
    world.wait_until_due()
    assert world.starts == ["tidy"]
    assert world.lines[-1] == "warning: job tidy (pid 101) still runs: a run is skipped"
    world.end("tidy")
    assert world.starts == ["tidy"]
    world.wait_until_due()
    assert world.starts == ["tidy", "tidy"]


def test_a_run_that_would_overlap_can_wait_for_the_end_of_the_last_one_and_only_one_does():
    world = World(job(overlap="queue"))
    for _ in range(3):
        world.wait_until_due()
    world.end("tidy", WELL)
    assert world.starts == ["tidy", "tidy"]
    world.end("tidy", WELL)
    assert world.starts == ["tidy", "tidy"]


def test_runs_that_were_missed_are_not_made_up_for():
    world = World(job())
    world.wait(3 * EVERY + LATE)
    assert world.starts == []
    assert world.lines == ["warning: job tidy was due 11 minutes ago: that run is missed"]
    world.wait_until_due()
    assert world.starts == ["tidy"]


def test_a_job_that_takes_too_long_is_stopped_and_counts_as_failed():
    world = World(job(timeout=5))
    world.wait_until_due()
    world.wait(5)
    assert world.signals == [(101, "TERM", False)]
    world.wait(GRACE)
    assert world.signals[1:] == [(101, "KILL", True)]
    world.end("tidy")
    assert world.state.jobs["tidy"].failures == 1


def test_a_job_that_cannot_be_started_has_failed():
    world = World(job())
    world.refusal = "Permission denied: tidy"
    world.wait_until_due()
    assert world.lines[-1] == "error: job tidy cannot be started: Permission denied: tidy after 0.0 s"
    assert world.state.jobs["tidy"].failures == 1


def test_a_run_goes_on_during_a_reload_and_the_next_one_is_the_new_command():
    world = World(job(text="tidy old"), job("gone", "gone"))
    world.wait_until_due()
    world.serve(job(text="tidy new"))
    assert world.signals == []
    world.end("gone", WELL)
    world.end("tidy", WELL)
    assert list(world.state.jobs) == ["tidy"]
    world.wait_until_due()
    assert world.starts == ["tidy old", "gone", "tidy new"]
