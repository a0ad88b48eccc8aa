import asyncio
import sys

import pytest
from readings import reading, snapshot, worker

from penstock.admin.top import WORKER_COLUMNS, Moment, Page, page, plain, printable, show, span, table
from penstock.errors import PenstockError

textual_missing = "penstock top's screen needs textual: the extra top"


def serving(number, *durations, threads=(), **counted):
    """A worker that is ready, with the durations of its requests and what its threads do."""
    busy = sum("started" in thread for thread in threads)
    scoreboard = reading(*durations, threads_busy=busy, threads_started=len(threads), **counted)
    return worker(number, scoreboard | {"threads": list(threads)}) | {"pid": 100 + number}


def moment(*workers, at=100.0, memory=None, **values):
    return Moment(snapshot(*workers, **values), at, memory or {})


def test_the_first_page_has_the_rates_since_each_worker_was_started():
    shown = page(moment(serving(1, *[0.001] * 10, *[0.002] * 40, requests=50), memory={101: 30 * 2**20}), None)
    assert shown.workers == [("1", "101", "ready", "2", "10.0s", "5.0", "2ms", "2ms", "0/0", "0", "30 MiB")]
    assert "2.5 requests/s" in shown.headline


def test_later_pages_have_what_happened_since_the_page_before():
    first = moment(serving(1, *[0.002] * 50, requests=50))
    second = moment(serving(1, *[0.001] * 20, *[0.002] * 50, requests=70), at=102.0)
    [row] = page(second, first).workers
    assert row[5:8] == ("10.0", "1ms", "1ms")


def test_a_worker_without_requests_since_the_page_before_has_no_quantiles():
    quiet = serving(1, *[0.002] * 50, requests=50)
    [row] = page(moment(quiet, at=102.0), moment(quiet)).workers
    assert row[5:8] == ("0.0", "-", "-")


def test_a_worker_that_is_replaced_does_not_make_the_rate_negative():
    first = moment(serving(1, requests=50))
    second = moment(serving(2, requests=10), at=101.0, departed=reading(requests=60))
    assert "20.0 requests/s" in page(second, first).headline


def test_threads_are_listed_with_their_requests_the_oldest_first():
    idle = {"requests": 3}
    young = {"requests": 1, "method": "GET", "path": "/young", "started": 99.5}
    old = {"requests": 2, "method": "POST", "path": "/old", "started": 88.0}
    shown = page(moment(serving(1, threads=(idle, young)), serving(2, threads=(old,))), None)
    assert shown.threads == [("2", "1", "12.0s", "POST /old"), ("1", "2", "500ms", "GET /young")]
    assert shown.workers[0][8] == "1/2"


def test_a_path_cannot_steer_the_terminal():
    assert printable("/a\x1b[2Jb\n\x9b") == "/a?[2Jb??"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.0012, "1.2ms"), (1.5, "1.5s"), (61, "1m01s"), (3700, "1h01m"), (200000, "2d07h")],
)
def test_a_time_is_as_short_as_a_person_wants_it(seconds, text):
    assert span(seconds) == text


def test_columns_are_as_wide_as_what_is_in_them():
    assert table(("a", "bcd"), [("12345", "6")]) == "a      bcd\n12345  6"


def test_once_prints_a_page_and_ends(capsys):
    assert show(lambda: moment(serving(1)).snapshot, once=True) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Penstock 0.1.0 (pid 100)  ready  up 20.0s  generation 2  0.0 requests/s")
    assert lines[2].split() == list(WORKER_COLUMNS)
    assert lines[3].startswith("1       101  ready")


def test_without_textual_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "textual", None)
    monkeypatch.delitem(sys.modules, "penstock.admin.top_screen", raising=False)
    with pytest.raises(PenstockError) as caught:
        show(lambda: moment().snapshot, once=False)
    assert "needs textual" in caught.value.message
    assert "--once" in caught.value.hint


def screen(pages):
    top_screen = pytest.importorskip("penstock.admin.top_screen", reason=textual_missing)
    return top_screen.Screen(iter(pages), interval=0)


def cells(data_table):
    return [[str(cell) for cell in data_table.get_row_at(index)] for index in range(data_table.row_count)]


def test_the_screen_shows_the_last_page():
    first = Page("first", [("1", *"abcdefghij")], [])
    last = Page("last [b]", [("2", *"abcdefghij")], [("2", "1", "5ms", "GET /[red]path[/red]")])

    async def look():
        app = screen([first, last])
        async with app.run_test() as pilot:
            await app.workers.wait_for_complete()
            await pilot.pause()
            assert str(app.query_one("#headline").render()) == "last [b]"
            assert cells(app.workers_table) == [["2", *"abcdefghij"]]
            assert cells(app.threads_table) == [["2", "1", "5ms", "GET /[red]path[/red]"]]

    asyncio.run(look())


def test_q_leaves_the_screen():
    async def leave():
        app = screen([plain_page()])
        async with app.run_test() as pilot:
            await pilot.press("q")
        return app.return_code

    assert asyncio.run(leave()) == 0


def test_a_paused_screen_keeps_its_page():
    taken = []

    def pages():
        for number in range(3):
            taken.append(number)
            yield Page(f"page {number}", [], [])

    async def pause():
        app = screen(pages())
        app.is_paused = True
        async with app.run_test() as pilot:
            await app.workers.wait_for_complete()
            await pilot.pause()
            assert taken == [0, 1, 2]
            assert "page" not in str(app.query_one("#headline").render())
            await pilot.press("space")
            assert not app.is_paused

    asyncio.run(pause())


def test_the_screen_ends_with_the_error_of_a_supervisor_that_does_not_answer():
    def pages():
        yield plain_page()
        raise PenstockError("no supervisor answers")

    async def fail():
        app = screen(pages())
        async with app.run_test():
            await app.workers.wait_for_complete()
        return app.return_value

    assert asyncio.run(fail()).message == "no supervisor answers"


def plain_page():
    return Page("headline", [], [])


def test_a_page_without_requests_has_no_table_of_threads():
    assert "request" not in plain(Page("headline", [], [])).splitlines()[-1]


def test_what_runs_beside_the_web_has_a_line_of_its_own():
    queue = {"name": "queue", "state": "running", "pid": 7, "started": 40.0}
    beat = {"name": "beat", "state": "waiting", "pid": None, "started": None}
    tidy = {"name": "tidy", "state": "waiting", "pid": None, "started": None}
    shown = page(moment(processes=[queue, beat], jobs=[tidy]), None)
    assert shown.headline.splitlines()[1:] == ["beside the web: queue running 1m00s, beat waiting"]
