import math
import os
import resource

import pytest

from penstock import capacity


@pytest.fixture
def cgroups(tmp_path):
    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(tmp_path)

    return write


@pytest.mark.parametrize(
    ("memberships", "files", "cpus"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "50000 100000"}, 0.5),
        ("0::/\n", {}, math.inf),
        (
            "3:cpu,cpuacct:/x\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "300000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
            3,
        ),
        (
            "3:cpu,cpuacct:/\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            math.inf,
        ),
        ("4:memory:/x\n", {"x/cpu.max": "100000 100000"}, math.inf),
        ("", {}, math.inf),
    ],
)
def test_the_least_quota_on_the_way_up_counts(cgroups, memberships, files, cpus):
    assert capacity.cgroup_quota(memberships, cgroups(files)) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [(math.inf, 4), (1.5, 2), (0.2, 1), (16, 4)])
def test_cpus_are_those_of_affinity_and_quota_and_never_none(monkeypatch, quota, cpus):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(capacity, "cgroup_quota", lambda _: quota)
    assert capacity.count_cpus() == cpus


def test_an_eighth_of_the_descriptors_is_left_to_the_application():
    assert capacity.max_connections(65536) == 57344
    assert capacity.max_connections(1024) == 896
    assert capacity.max_connections(256) == 192
    assert capacity.max_connections(20) == 1


@pytest.mark.parametrize(
    ("limits", "lifted"),
    [((1024, 4096), 4096), ((1024, 2**20), 65536), ((1024, -1), 65536), ((4096, 4096), 4096), ((-1, -1), 65536)],
)
def test_the_soft_limit_is_lifted_towards_the_hard_one(monkeypatch, limits, lifted):
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, values: asked.append(values))
    assert capacity.raise_descriptor_limit() == lifted
    assert asked == ([(lifted, limits[1])] if 0 <= limits[0] < lifted else [])


def test_the_least_memory_limit_on_the_way_to_the_root_counts(cgroups):
    root = cgroups({"a/b/memory.max": "max\n", "a/memory.max": "1048576\n"})
    assert capacity.memory_limit("0::/a/b\n", root) == 1048576


def test_without_a_memory_limit_there_is_what_the_machine_has(cgroups):
    assert capacity.memory_limit("0::/\n", cgroups({})) > 2**20
