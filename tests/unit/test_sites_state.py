import math

import pytest

from penstock.errors import PenstockError
from penstock.sites.state import (
    FIRST_PAUSE,
    KILL_AFTER,
    LONGEST_PAUSE,
    STEADY,
    Await,
    Finish,
    Forget,
    Hold,
    Log,
    Open,
    Shut,
    Signal,
    Start,
    State,
)


@pytest.fixture
def state():
    return State()


def without_lines(actions):
    return [action for action in actions if not isinstance(action, Log)]


def lines(actions):
    return [action.message for action in actions if isinstance(action, Log)]


def up(state, name, on_demand=False, now=0.0):
    state.add(name, on_demand, 30, now)
    if on_demand:
        state.wanted(name, now)
    state.ready(name, now)


def test_a_site_is_started_when_it_is_configured(state):
    assert without_lines(state.add("shop", False, 30, 0)) == [Hold("shop"), Start("shop")]
    actions = state.ready("shop", 1)
    assert (without_lines(actions), lines(actions)) == ([Open("shop")], ["the site shop is up"])
    assert state.sites["shop"].state == "up"


def test_a_site_on_demand_is_started_when_somebody_asks_for_it(state):
    assert without_lines(state.add("shop", True, 30, 0)) == [Hold("shop"), Await("shop")]
    assert without_lines(state.wanted("shop", 5)) == [Start("shop")]
    assert state.wanted("shop", 6) == []


def test_a_site_on_demand_that_nobody_asks_for_ends_and_waits_for_the_next_one(state):
    up(state, "shop", on_demand=True)
    assert without_lines(state.rests("shop", 600)) == [Signal("shop", "TERM")]
    assert without_lines(state.exited("shop", "exited with status 0", 601)) == [Hold("shop"), Await("shop")]
    assert state.sites["shop"].state == "idle"


def test_a_site_that_is_not_on_demand_never_rests(state):
    up(state, "shop")
    assert state.rests("shop", 600) == []


def test_a_supervisor_that_was_killed_is_replaced_while_visitors_wait(state):
    up(state, "shop")
    actions = state.exited("shop", "was killed by SIGKILL", 5)
    assert lines(actions) == [
        f"the supervisor of the site shop was killed by SIGKILL; starting it again in {FIRST_PAUSE:g} s"
    ]
    assert without_lines(actions) == [Hold("shop")]
    assert state.next_time() == 5 + FIRST_PAUSE
    assert without_lines(state.tick(5 + FIRST_PAUSE)) == [Start("shop")]


def test_visitors_of_a_site_that_cannot_start_are_told_to_come_back_until_it_does(state):
    state.add("shop", False, 30, 0)
    state.failed("shop", "there is no module 'shop'")
    actions = state.exited("shop", "exited with status 1", 1)
    assert without_lines(actions) == [Shut("shop")]
    assert lines(actions) == ["the site shop cannot start, starting it again in 0.1 s: there is no module 'shop'"]
    assert without_lines(state.tick(1 + FIRST_PAUSE)) == [Start("shop")]
    assert without_lines(state.ready("shop", 2)) == [Open("shop")]


def test_the_pause_before_a_failing_site_is_tried_again_grows_to_a_limit(state):
    state.add("shop", False, 30, 0)
    pauses, now = [], 0.0
    for _ in range(12):
        state.failed("shop", "broken")
        state.exited("shop", "", now)
        pauses.append(state.next_time() - now)
        now = state.next_time()
        state.tick(now)
    assert pauses[:3] == pytest.approx([FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE])
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE)


def test_a_site_that_was_well_for_a_while_is_tried_again_at_once(state):
    up(state, "shop")
    state.exited("shop", "was killed by SIGKILL", 1)
    state.tick(state.next_time())
    state.ready("shop", 2)
    state.exited("shop", "was killed by SIGKILL", 2 + STEADY)
    assert state.next_time() == pytest.approx(2 + STEADY + FIRST_PAUSE)


def test_what_one_site_does_changes_nothing_for_another(state):
    up(state, "blog")
    state.add("shop", False, 30, 0)
    state.failed("shop", "broken")
    assert all(getattr(action, "site", "shop") == "shop" for action in state.exited("shop", "", 1))
    assert state.sites["blog"].state == "up"


def test_a_stopped_site_stays_stopped_until_it_is_started(state):
    up(state, "shop")
    assert without_lines(state.stop("shop", 1)) == [Shut("shop"), Signal("shop", "TERM")]
    assert state.exited("shop", "", 2) == [Log("info", "the site shop is stopped")]
    assert state.next_time() == math.inf
    with pytest.raises(PenstockError, match="stopped already"):
        state.stop("shop", 3)
    assert without_lines(state.start("shop", 4)) == [Hold("shop"), Start("shop")]


def test_a_second_stop_of_a_site_is_at_once(state):
    up(state, "shop")
    state.stop("shop", 1)
    assert state.stop("shop", 2) == [Signal("shop", "QUIT")]


def test_a_site_that_does_not_leave_is_killed(state):
    up(state, "shop")
    state.stop("shop", 1)
    assert state.next_time() == 1 + 30 + KILL_AFTER
    assert without_lines(state.tick(state.next_time())) == [Signal("shop", "KILL")]
    assert state.next_time() == math.inf


def test_a_site_that_is_no_longer_configured_finishes_its_requests_and_is_forgotten(state):
    up(state, "shop")
    assert without_lines(state.remove("shop", 1)) == [Signal("shop", "TERM")]
    assert without_lines(state.exited("shop", "", 2)) == [Forget("shop")]
    assert "shop" not in state.sites


def test_a_site_that_comes_back_while_it_leaves_is_started_again(state):
    up(state, "shop")
    state.remove("shop", 1)
    assert state.add("shop", False, 30, 1) == []
    assert without_lines(state.exited("shop", "", 2)) == [Hold("shop"), Start("shop")]


def test_a_changed_site_reloads_by_itself(state):
    up(state, "shop")
    assert state.change("shop", False, 1) == [Signal("shop", "HUP")]


def test_a_site_whose_process_has_to_be_another_one_is_started_anew_while_visitors_wait(state):
    up(state, "shop")
    assert without_lines(state.change("shop", True, 1)) == [Signal("shop", "TERM")]
    assert without_lines(state.exited("shop", "", 2)) == [Hold("shop"), Start("shop")]


def test_a_mended_site_is_tried_at_once(state):
    state.add("shop", False, 30, 0)
    state.failed("shop", "broken")
    state.exited("shop", "", 1)
    assert without_lines(state.change("shop", False, 1)) == [Start("shop")]
    assert state.next_time() == math.inf


def test_a_stop_ends_when_every_site_has_left(state):
    up(state, "shop")
    up(state, "blog")
    state.add("idle", True, 30, 0)
    assert without_lines(state.stop_all(1)) == [Signal("shop", "TERM"), Signal("blog", "TERM")]
    assert state.exited("shop", "", 2) == []
    assert without_lines(state.exited("blog", "", 3)) == [Finish()]


def test_a_stop_without_any_running_site_ends_at_once(state):
    state.add("idle", True, 30, 0)
    assert without_lines(state.stop_all(1)) == [Finish()]


def test_a_second_stop_is_at_once(state):
    up(state, "shop")
    state.stop_all(1)
    assert without_lines(state.stop_all(2)) == [Signal("shop", "QUIT")]


def test_a_site_that_was_stopped_before_an_upgrade_stays_stopped(state):
    assert state.add("shop", False, 30, 0, is_stopped=True) == [Shut("shop")]
    assert state.sites["shop"].state == "stopped"
    assert without_lines(state.start("shop", 1)) == [Hold("shop"), Start("shop")]


def test_an_upgrade_waits_for_the_sites_that_served_and_fails_with_one_of_them(state):
    state.add("shop", False, 30, 0)
    state.add("rare", True, 30, 0)
    state.add("broken", False, 30, 0)
    state.failed("broken", "there is no module 'broken'")
    state.exited("broken", "", 1)
    assert not state.have_come_up(["shop", "rare", "removed"])
    state.ready("shop", 2)
    assert state.have_come_up(["shop", "rare", "removed"])
    with pytest.raises(PenstockError, match="the site broken cannot start: there is no module 'broken'"):
        state.have_come_up(["shop", "broken"])
