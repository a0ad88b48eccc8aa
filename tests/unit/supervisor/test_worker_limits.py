import pytest

from penstock.supervisor.limits import limits_of


@pytest.mark.parametrize(("workers", "bounds"), [("3", (3, 3)), ("2..8", (2, 8)), ("4..4", (4, 4))], ids=str)
def test_the_number_of_workers_is_a_number_or_a_range(configure, workers, bounds):
    limits = limits_of(configure(workers=workers))
    assert (limits.workers, limits.most_workers) == bounds
    assert limits.is_elastic == (bounds[0] < bounds[1])


def test_times_and_sizes_are_seconds_and_bytes(configure):
    limits = limits_of(configure(timeout="2m", max_memory="1MiB"))
    assert limits.timeout == 120
    assert limits.max_memory == 2**20


def test_nobody_need_look_at_workers_that_nothing_limits(configure):
    assert not limits_of(configure(timeout="0s", workers="2")).needs_looks
    assert limits_of(configure(timeout="0s", workers="2..3")).needs_looks
    assert limits_of(configure()).needs_looks
