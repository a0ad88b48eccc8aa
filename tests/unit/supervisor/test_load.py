from penstock.supervisor.load import GROW_AFTER, SETTLE, SHRINK_AFTER, Load, Reading


class Site:
    """Workers whose counters go on from look to look, one a second."""

    def __init__(self, workers):
        self.load, self.workers = Load(), workers
        self.reading = Reading()
        self.look()

    def look(self, requests=0, wait=0.0, in_progress=0.0, waiting=0):
        """One second in which requests were taken that had waited so long each."""
        before = self.reading
        self.reading = Reading(
            requests=before.requests + requests,
            taken=before.taken + requests,
            waited=before.waited + requests * wait,
            in_application=before.in_application + in_progress,
            waiting=waiting,
        )
        return self.load.change([self.reading], 1.0, self.workers)

    def looks(self, count, **second):
        return [self.look(**second) for _ in range(count)]


def test_it_grows_when_requests_wait_for_long_and_not_for_a_single_second():
    site = Site(2)
    assert site.look(requests=10, wait=0.2) == 0
    assert site.look(requests=10, wait=0.0) == 0
    assert site.looks(GROW_AFTER, requests=10, wait=0.2) == [0] * (GROW_AFTER - 1) + [1]


def test_it_grows_when_somebody_waits_and_nobody_is_taken():
    assert Site(2).looks(GROW_AFTER, waiting=3)[-1] == 1


def test_a_new_worker_has_time_to_show_what_it_does():
    site = Site(2)
    changes = site.looks(GROW_AFTER + SETTLE, requests=10, wait=0.2)
    assert changes == [0] * (GROW_AFTER - 1) + [1] + [0] * (SETTLE - 1) + [1]


def test_it_shrinks_after_a_long_time_with_little_to_do_and_then_sooner():
    site = Site(3)
    assert site.looks(SHRINK_AFTER, requests=5, in_progress=0.1) == [0] * (SHRINK_AFTER - 1) + [-1]
    assert site.looks(SHRINK_AFTER // 2, requests=5, in_progress=0.1)[-1] == -1


def test_between_the_two_bounds_nothing_changes():
    assert set(Site(2).looks(3 * SHRINK_AFTER, requests=100, wait=0.01, in_progress=0.8)) == {0}


def test_one_worker_is_never_idle():
    assert set(Site(1).looks(2 * SHRINK_AFTER)) == {0}


def test_counters_that_left_with_a_worker_say_nothing():
    site = Site(2)
    site.looks(5, requests=100, wait=0.2)
    site.reading = Reading()
    assert site.load.change([site.reading], 1.0, 2) == 0
