import errno
import os

from penstock.supervisor.process import Supervisor


def test_a_process_that_the_system_refuses_is_an_error_and_no_crash(configure, tmp_path, monkeypatch):
    def refuse():
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    supervisor = Supervisor(configure(), {}, str(tmp_path))
    supervisor.act(supervisor.state.reload(0.0))
    assert supervisor.is_finished
    assert str(supervisor.error) == "the system refuses a process: Resource temporarily unavailable"


def test_who_asks_for_a_reload_hears_at_once_that_no_process_can_be_had(configure, tmp_path, monkeypatch):
    def refuse():
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    supervisor = Supervisor(configure(), {}, str(tmp_path))
    heard = []
    supervisor.reload(heard.append)
    assert [error["message"] for error in heard] == ["the system refuses a process: Resource temporarily unavailable"]
