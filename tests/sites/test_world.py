"""A process in the world of a site: what it has, what it has not, and why it cannot begin."""

import json
import os
import signal
import sys

import pytest

from penstock import cgroups
from penstock.cgroups import Ground
from penstock.config import load
from penstock.errors import ConfigurationError
from penstock.privileges import Identity
from penstock.sites.world import start_in_world, variables, world_of

REPORT = """\
import json, os, resource, signal, sys
json.dump({
    "cwd": os.getcwd(), "umask": os.umask(0), "session": os.getsid(0), "environment": dict(os.environ),
    "fds": sorted(int(name) for name in os.listdir("/proc/self/fd")), "stdin": os.readlink("/proc/self/fd/0"),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE), "nice": os.nice(0), "executable": sys.executable,
    "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
    "handlers": [signal.getsignal(n) is signal.SIG_DFL for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)],
}, os.fdopen(int(sys.argv[1]), "w"))
"""

LISTENS_LATE = """\
import os, sys
from penstock.supervisor.signals import SignalQueue
told, writer = map(int, sys.argv[1:])
os.read(told, 1)
os.write(writer, bytes(SignalQueue().read()))
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Makes the world of a site in tmp_path, from the settings given."""
    tmp_path.joinpath("penstock.toml").touch()
    monkeypatch.setenv("SECRET_KEY", "the parent's own")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "another.settings")

    def make(**arguments):
        return world_of(load(arguments, os.environ, str(tmp_path)), {"PENSTOCK_SITE": "shop"})

    return make


def report(world):
    """What a process in this world sees."""
    reader, writer = os.pipe()
    pid = start_in_world(world, ["-c", REPORT, str(writer)], [writer])
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = json.load(pipe)
    assert os.waitpid(pid, 0) == (pid, 0)
    return told | {"pid": pid, "writer": writer}


def test_a_site_has_its_own_directory_session_and_variables(world, tmp_path):
    seen = report(world(umask="027", limit_files="300", nice="7"))
    assert (seen["cwd"], seen["umask"], seen["session"]) == (str(tmp_path), 0o027, seen["pid"])
    assert (seen["files"], seen["nice"], seen["executable"]) == ([300, 300], 7, sys.executable)
    assert seen["environment"]["PENSTOCK_SITE"] == "shop"
    assert seen["environment"]["PWD"] == str(tmp_path)
    assert not {"SECRET_KEY", "DJANGO_SETTINGS_MODULE"} & seen["environment"].keys()


def test_a_site_inherits_only_the_descriptors_that_it_is_given(world):
    secret = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(secret, True)
    seen = report(world())
    os.close(secret)
    assert secret not in seen["fds"]
    # The last one lists the others.
    assert {0, 1, 2, seen["writer"]} <= set(seen["fds"]) and len(seen["fds"]) == 5
    assert seen["stdin"] == os.devnull


def test_a_site_begins_without_the_handlers_and_the_mask_of_its_parent(world):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        seen = report(world())
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (seen["blocked"], seen["handlers"]) == ([signal.SIGUSR1], [True, True, True])


def test_a_signal_to_open_the_logs_anew_waits_until_the_supervisor_listens(world):
    reader, writer = os.pipe()
    told, teller = os.pipe()
    pid = start_in_world(world(), ["-c", LISTENS_LATE, str(told), str(writer)], [told, writer])
    os.kill(pid, signal.SIGUSR1)
    os.write(teller, b".")
    assert os.waitpid(pid, 0) == (pid, 0)
    assert os.read(reader, 100) == bytes([signal.SIGUSR1])
    for fd in (reader, writer, told, teller):
        os.close(fd)


def test_a_directory_that_is_not_there_is_named(world, tmp_path):
    wanted = world()._replace(directory=str(tmp_path / "gone"))
    with pytest.raises(ConfigurationError, match=r"may not read .*gone"):
        start_in_world(wanted, ["-c", ""], [])


def test_a_site_reads_the_common_file_and_its_own(tmp_path):
    common, own = tmp_path / "penstock.toml", tmp_path / "sites.d/shop.toml"
    common.write_text('sites = "sites.d/*.toml"\n')
    own.parent.mkdir()
    own.write_text('[site]\nhosts = ["shop.example"]\n')
    assert world_of(load({"site": "shop"}, {}, str(tmp_path)), {}).reads == [str(common), str(own)]


def test_a_file_that_the_site_may_not_read_is_named(world, tmp_path):
    wanted = world()._replace(reads=[str(tmp_path / "sites.d/shop.toml")])
    with pytest.raises(ConfigurationError, match=r"this user may not read .*sites\.d/shop\.toml"):
        start_in_world(wanted, ["-c", ""], [])


def test_a_limit_that_the_system_refuses_is_named(world):
    with pytest.raises(ConfigurationError, match="refuses limit_files"):
        start_in_world(world(limit_files=str(2**30)), ["-c", ""], [])


def with_memory(tmp_path, text):
    """The world of a site that may use 4 GiB in all."""
    tmp_path.joinpath("penstock.toml").write_text(f'[sites.shop]\nhosts = ["shop"]\nsite_memory = "4GiB"\n{text}')
    return world_of(load({"site": "shop"}, os.environ, str(tmp_path)), {})


def test_where_no_cgroup_is_delegated_each_process_has_the_limit_and_the_log_says_so(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(cgroups, "own_ground", lambda: Ground("", "/unit has no memory controller"))
    world = with_memory(tmp_path, "")
    assert (world.group, world.limits.memory) == ("", 2**32)
    told = "site_memory of the site shop: /unit has no memory controller; each process may have 4GiB instead"
    assert told in capfd.readouterr().err
    # The site's own limit for each process stays what it is.
    assert with_memory(tmp_path, 'limit_memory = "3GiB"').limits.memory == 3 * 2**30


def test_where_groups_can_be_made_a_process_of_the_site_joins_the_one_of_its_site(tmp_path, monkeypatch):
    ground = tmp_path / "unit"
    ground.joinpath("penstock").mkdir(parents=True)
    monkeypatch.setattr(cgroups, "own_ground", lambda: Ground(str(ground)))
    world = with_memory(tmp_path, "")
    assert (world.group, world.limits.memory) == (f"{ground}/site-shop", 0)
    assert ground.joinpath("site-shop/memory.max").read_text() == str(2**32)
    report(world)
    assert ground.joinpath("site-shop/cgroup.procs").read_text() == "0"


def test_a_group_that_the_system_refuses_is_said_and_each_process_has_the_limit(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(cgroups, "own_ground", lambda: Ground(str(tmp_path / "penstock.toml")))
    assert with_memory(tmp_path, "").limits.memory == 2**32
    assert "Not a directory; each process may have 4GiB instead" in capfd.readouterr().err


def test_an_interpreter_with_another_penstock_is_refused(world, tmp_path):
    told = {"version": [3, 12, 1], "prefix": "/x", "penstock": "9.9", "place": "/", "problem": ""}
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{json.dumps(told)}'\n")
    python.chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"\(--python\) has Penstock 9.9, and this is \d") as error:
        start_in_world(world(python=str(python)), ["-c", ""], [])
    assert "-m pip install penstock==" in error.value.hint


@pytest.mark.skipif(bool(os.geteuid()), reason="only root can become another user")
def test_an_interpreter_that_the_user_may_not_execute_is_named(world, tmp_path):
    tmp_path.chmod(0o700)
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    with pytest.raises(ConfigurationError, match=r"nobody may not execute .*python \(--python\)"):
        start_in_world(world(user="nobody", python=str(python)), ["-c", ""], [])


def test_another_user_gets_a_home_and_no_personal_variables():
    real = {"PATH": "/bin", "LC_TIME": "C", "TMPDIR": "/root/tmp", "HOME": "/root", "AWS_SECRET": "x", "TZ": "UTC"}
    shop = Identity(1, 1, [1], "shop", "/home/shop")
    assert variables(real, shop, "", "/srv/shop") == {
        "PATH": "/bin",
        "LC_TIME": "C",
        "TZ": "UTC",
        "HOME": "/home/shop",
        "USER": "shop",
        "LOGNAME": "shop",
        "PWD": "/srv/shop",
    }
    assert variables(real, None, "", "/")["HOME"] == "/root"


def test_a_virtual_environment_is_entered_as_its_activation_would(tmp_path):
    tmp_path.joinpath("pyvenv.cfg").touch()
    given = variables({"PATH": "/bin"}, None, f"{tmp_path}/bin/python", "/")
    assert given == {"PATH": f"{tmp_path}/bin:/bin", "VIRTUAL_ENV": str(tmp_path), "PWD": "/"}
