import os
import socket

import pytest

from penstock.admin import place


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """A directory for sockets, with a short name that leads to it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_the_name_stands_for_the_directory_of_the_project(configure, tmp_path):
    assert place.home_of(configure()) == str(tmp_path)
    tmp_path.joinpath("manage.py").write_text("# django")
    tmp_path.joinpath("deep").mkdir()
    assert place.home_of(configure(chdir="deep")) == str(tmp_path)


def test_projects_of_the_same_name_have_different_sockets():
    keys = {place.key_of("/srv/one/mysite"), place.key_of("/srv/two/mysite")}
    assert len(keys) == 2
    assert all(key.startswith("mysite-") for key in keys)


def test_a_supervisor_is_found_by_the_link_and_by_what_it_led_to(configure, tmp_path):
    tmp_path.joinpath("release").mkdir()
    tmp_path.joinpath("current").symlink_to("release")
    by_link, by_name = (f"/run/{place.key_of(str(tmp_path / name))}.7.sock" for name in ("current", "release"))
    assert place.serving(configure(chdir="current"), [by_link, by_name, "/run/other-00.7.sock"]) == [by_link, by_name]


def test_the_directory_is_made_for_nobody_else(runtime):
    made = place.choose_directory()
    assert made == str(runtime / "penstock")
    assert os.stat(made).st_mode & 0o777 == 0o700


def test_a_directory_that_others_may_write_to_is_not_used(tmp_path):
    tmp_path.joinpath("open").mkdir()
    tmp_path.joinpath("open").chmod(0o777)
    with pytest.raises(PermissionError, match="is not ours alone"):
        place.make(str(tmp_path / "open"))


def test_a_link_in_the_place_of_the_directory_is_not_followed(tmp_path):
    tmp_path.joinpath("link").symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="is not ours alone"):
        place.make(str(tmp_path / "link"))


def test_the_socket_of_a_dead_process_is_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("dead.sock")
    assert not place.is_answered("dead.sock")
    assert not tmp_path.joinpath("dead.sock").exists()
