import pytest

from penstock.companions.plan import NOTHING, Command, Job
from penstock.companions.process import Companions, reason_of


class Loop:
    """A supervisor's loop that only keeps what it is to call."""

    def __init__(self):
        self.timers = []

    def call_at(self, when, callback):
        self.timers.append((when, callback))


@pytest.fixture
def companions():
    """They have one job, which is due at New Year."""
    job = Job(Command("tidy", "tidy", {}, "log", "TERM", 1.0), "0 0 1 1 *", 0.0, "skip")
    companions = Companions(Loop())
    for part in NOTHING._replace(jobs=[job]).parts():
        companions.hear(1, part)
    companions.serve(1, previous=0)
    return companions


def test_a_time_that_another_one_has_preceded_wakes_nobody(companions):
    timers = companions.supervisor.timers
    assert len(timers) == 1
    [job] = companions.state.jobs.values()
    job.stop_at = timers[0][0] - 1
    companions.act([])
    assert len(timers) == 2
    job.stop_at = float("inf")
    timers[1][1]()
    assert len(timers) == 3
    timers[0][1]()
    assert len(timers) == 3


def test_the_plan_of_a_generation_that_is_gone_is_forgotten(companions):
    companions.hear(2, next(iter(NOTHING.parts())))
    companions.serve(2, previous=1)
    assert set(companions.texts) == {1, 2}
    assert companions.state.jobs == {}
    companions.serve(1, previous=2)
    assert len(companions.state.jobs) == 1
    companions.serve(3, previous=1)
    assert set(companions.texts) == {1}


def test_what_cannot_be_started_is_named_with_the_reason():
    assert (
        reason_of(FileNotFoundError(2, "No such file or directory", "celery")) == "No such file or directory: celery"
    )
    assert reason_of(OSError(7, "Argument list too long")) == "Argument list too long"
