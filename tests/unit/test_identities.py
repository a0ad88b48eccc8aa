import os
import pwd

import pytest

from penstock.errors import ConfigurationError
from penstock.privileges import Identity, give_logs, identity_of


def as_user(monkeypatch, uid):
    monkeypatch.setattr(os, "geteuid", lambda: uid)


def test_nobody_changes_when_nobody_is_named(configure):
    assert identity_of(configure()) is None


def test_a_user_brings_the_groups_of_the_system(configure, monkeypatch):
    as_user(monkeypatch, 0)
    known = pwd.getpwuid(os.getuid())
    groups = os.getgrouplist(known.pw_name, known.pw_gid)
    wanted = Identity(known.pw_uid, known.pw_gid, groups, known.pw_name, known.pw_dir)
    assert identity_of(configure(user=known.pw_name)) == wanted
    assert identity_of(configure(user=str(known.pw_uid))) == wanted


def test_a_number_that_the_system_does_not_know_needs_a_group(configure, monkeypatch):
    as_user(monkeypatch, 0)
    with pytest.raises(ConfigurationError, match=r"does not know the user 1234567 .* so it has no group"):
        identity_of(configure(user="1234567"))
    assert identity_of(configure(user="1234567", group="7654321")) == Identity(1234567, 7654321, [7654321], "", "/")


@pytest.mark.parametrize("setting", ["user", "group"])
def test_an_unknown_name_is_an_error_with_the_nearest_one(configure, monkeypatch, setting):
    as_user(monkeypatch, 0)
    with pytest.raises(ConfigurationError, match=rf"there is no {setting} 'roott' \(--{setting}\)") as refused:
        identity_of(configure(**{setting: "roott"}))
    assert refused.value.hint == "did you mean 'root'?"


def test_who_is_not_root_can_only_stay_who_he_is(configure, monkeypatch):
    other = pwd.getpwnam("nobody")
    as_user(monkeypatch, other.pw_uid)
    monkeypatch.setattr(os, "getegid", lambda: other.pw_gid)
    assert identity_of(configure(user="nobody")) is None
    with pytest.raises(ConfigurationError, match=r"only root can become root \(--user\)"):
        identity_of(configure(user="root"))


def test_links_and_the_files_of_others_do_not_change_hands(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(os, "fchown", lambda fd, *_: given.append(os.readlink(f"/proc/self/fd/{fd}")))
    root_owned = os.stat(tmp_path).st_uid == 0
    tmp_path.joinpath("secret").write_text("")
    tmp_path.joinpath("link.log").symlink_to("secret")
    os.link(tmp_path / "secret", tmp_path / "twice.log")
    os.mkfifo(tmp_path / "pipe.log")
    names = ("link.log", "twice.log", "pipe.log", "new.log")
    give_logs(Identity(1, 1, [1], "daemon", "/"), "-", "", *(str(tmp_path / name) for name in names))
    assert given == ([str(tmp_path / "new.log")] if root_owned else [])
    assert tmp_path.joinpath("new.log").exists()
