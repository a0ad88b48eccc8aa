import json
import os
import re
import time

import pytest

from penstock import log
from penstock.log import Journal, has_colour, json_line


def test_an_event_is_a_line_with_time_and_level(tmp_path):
    journal = Journal()
    journal.open(str(tmp_path / "log"), "info")
    journal.write("info", "worker 1 (pid 7) is ready")
    journal.write("debug", "not wanted")
    text = tmp_path.joinpath("log").read_text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} info    worker 1 \(pid 7\) is ready\n", text)


def test_the_lines_of_a_traceback_are_indented_below_their_event(tmp_path):
    journal = Journal()
    journal.open(str(tmp_path / "log"), "error")
    journal.write("error", "failed\nTraceback\n  line")
    assert tmp_path.joinpath("log").read_text().endswith("failed\n    Traceback\n      line\n")


def test_a_rotated_log_is_opened_anew_under_the_same_descriptor(tmp_path):
    journal = Journal()
    journal.open(str(tmp_path / "log"), "info")
    fd = journal.fd
    tmp_path.joinpath("log").rename(tmp_path / "log.1")
    journal.reopen()
    journal.put("new\n")
    assert journal.fd == fd
    assert tmp_path.joinpath("log").read_text() == "new\n"
    assert tmp_path.joinpath("log.1").read_text() == ""


def test_a_log_that_cannot_be_opened_anew_is_kept_and_says_so(tmp_path):
    journal = Journal()
    tmp_path.joinpath("logs").mkdir()
    journal.open(str(tmp_path / "logs/log"), "info")
    tmp_path.joinpath("logs").rename(tmp_path / "old")
    journal.reopen()
    assert "logs/log cannot be opened anew: No such file" in tmp_path.joinpath("old/log").read_text()


def test_a_log_that_cannot_be_written_stops_nobody():
    journal = Journal()
    journal.fd, writer = os.pipe()
    os.close(writer)
    journal.put("a reading end takes no text\n")
    os.close(journal.fd)


def test_a_file_gets_no_colours(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    with tmp_path.joinpath("log").open("w") as file:
        assert not has_colour(file.fileno())


def test_a_terminal_gets_colours_unless_no_color_is_set(monkeypatch):
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "")
    assert has_colour(2)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_colour(2)


def test_as_json_each_event_is_one_object_on_one_line(tmp_path):
    journal = Journal()
    journal.open(str(tmp_path / "log"), "info", "json")
    journal.write("error", "failed\nTraceback\n  line")
    journal.write("debug", "not wanted")
    journal.write("info", "gr\u00fc\u00dfe")
    first, second = map(json.loads, tmp_path.joinpath("log").read_text().splitlines())
    assert (first["level"], first["message"], first["pid"]) == ("error", "failed\nTraceback\n  line", os.getpid())
    assert second["message"] == "gr\u00fc\u00dfe"


def test_the_time_of_a_json_event_is_utc_with_milliseconds():
    assert json.loads(json_line("info", "x", 1_000_000_000.25, 7))["time"] == "2001-09-09T01:46:40.250Z"


def test_a_file_that_is_truncated_under_its_writer_goes_on_at_its_beginning(tmp_path):
    journal = Journal()
    journal.open(str(tmp_path / "log"), "info")
    journal.put("old\n")
    os.truncate(tmp_path / "log", 0)
    journal.put("new\n")
    assert tmp_path.joinpath("log").read_text() == "new\n"


@pytest.fixture
def django_in_new_york(monkeypatch):
    """A process that was started in Tokyo, after Django has read its TIME_ZONE."""
    monkeypatch.setattr(log, "STARTED_IN", "Asia/Tokyo")
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("django_in_new_york")
def test_lines_keep_the_time_zone_in_which_the_server_was_started(tmp_path):
    journal = Journal()
    journal.open(str(tmp_path / "log"), "info")
    journal.write("info", "in a worker")
    assert " +0900 info    in a worker" in tmp_path.joinpath("log").read_text()
    assert log.stamp(0) == "1970-01-01 09:00:00 +0900"
