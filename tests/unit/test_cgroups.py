import os

import pytest

from penstock.cgroups import Ground, find_ground, join, make_group

HYBRID = "4:memory:/\n1:cpu:/\n0::/\n"


@pytest.fixture
def root(tmp_path):
    """A directory with the files of a delegated group, /system.slice/penstock.service."""
    group = tmp_path / "system.slice/penstock.service"
    fill(group, "cpu memory pids\n")
    return tmp_path


def fill(group, controllers):
    group.mkdir(parents=True)
    group.joinpath("cgroup.controllers").write_text(controllers)
    group.joinpath("cgroup.procs").write_text("12\n15\n")
    group.joinpath("cgroup.subtree_control").touch()


def mounts(root):
    """As /proc/self/mountinfo has it, with another file system before the one that is looked for."""
    return (
        "23 1 0:22 / / rw,relatime - ext4 /dev/vda rw\n"
        f"31 23 0:28 / {root} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    )


def service(root):
    return str(root / "system.slice/penstock.service")


def test_a_delegated_group_can_have_groups(root):
    assert find_ground("0::/system.slice/penstock.service\n", mounts(root)) == Ground(service(root))


def test_a_process_that_was_moved_before_finds_the_same_ground(root):
    assert find_ground("0::/system.slice/penstock.service/penstock\n", mounts(root)) == Ground(service(root))


def test_without_version_2_there_are_no_groups(root):
    problem = "the system has no cgroups of version 2"
    assert find_ground(HYBRID, "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n") == Ground("", problem)
    assert find_ground("4:memory:/\n", mounts(root)) == Ground("", problem)


def test_a_group_without_the_memory_controller_is_named(root):
    fill(root / "user.slice", "cpu pids\n")
    assert find_ground("0::/user.slice\n", mounts(root)).problem == f"{root}/user.slice has no memory controller"
    # As in the hybrid form, where version 1 has the memory.
    assert "has no memory controller" in find_ground(HYBRID, mounts(root)).problem


def test_a_group_that_may_not_be_written_is_named(root, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, _: not path.endswith("/cgroup.procs"))
    problem = f"{service(root)} is not delegated to this user"
    assert find_ground("0::/system.slice/penstock.service\n", mounts(root)).problem == problem


def test_a_site_gets_a_group_with_its_limit_and_our_own_processes_get_another(root):
    (root / "system.slice/penstock.service/penstock").mkdir()
    for _ in range(2):  # again after each restart of the site
        group = make_group(Ground(service(root)), "shop", 2**30)
    assert group == f"{service(root)}/site-shop"
    assert {name: read(name, root) for name in ("site-shop/memory.max", "cgroup.subtree_control")} == {
        "site-shop/memory.max": "1073741824",
        "cgroup.subtree_control": "+memory",
    }
    assert read("penstock/cgroup.procs", root) == "15"  # the last of both; the kernel takes one after the other
    join(group)
    assert read("site-shop/cgroup.procs", root) == "0"


def read(name, root):
    with open(f"{service(root)}/{name}") as file:
        return file.read()
