import pytest

from penstock.check import limits, resources, secrets
from penstock.check.machine import Machine
from penstock.check.project import Project

GIBIBYTE = 2**30
AMPLE = Machine(cpus=2, memory=8 * GIBIBYTE, descriptors=65536, somaxconn=4096, is_root=False, own_memory=50 * 2**20)


@pytest.fixture
def project(configure, tmp_path):
    """A project on a machine; other arguments are settings."""

    def make(machine=AMPLE, **arguments):
        return Project(configure(**arguments), machine, True, str(tmp_path), application=print)

    return make


def ids(findings):
    return [found.id for found in findings]


def test_a_machine_that_has_enough_is_no_finding(project):
    assert ids(resources.check(project(workers="4"))) == []


def test_workers_that_do_not_fit_into_memory_are_found(project):
    [found] = resources.check(project(AMPLE._replace(memory=GIBIBYTE // 2), workers="16"))
    assert found.id == "penstock.W506"
    assert found.message == "16 workers, each of which is likely to use 50 MiB, have 512 MiB together"


def test_the_most_workers_of_a_range_count(project):
    assert ids(resources.check(project(AMPLE._replace(memory=GIBIBYTE // 2), workers="1..16"))) == ["penstock.W506"]


def test_a_limit_for_workers_counts_instead_of_what_one_uses_now(project):
    assert ids(resources.check(project(workers="4", max_memory="1GiB"))) == []
    assert ids(resources.check(project(workers="4", max_memory="3GiB"))) == ["penstock.W506"]


def test_too_few_descriptors_are_found(project):
    assert ids(resources.check(project(AMPLE._replace(descriptors=256), workers="1"))) == ["penstock.W507"]
    assert ids(resources.check(project(AMPLE._replace(descriptors=4096), workers="1", max_connections="4000"))) == [
        "penstock.W507"
    ]


def test_a_backlog_that_the_system_cuts_is_found(project):
    assert ids(resources.check(project(AMPLE._replace(somaxconn=128), workers="1"))) == ["penstock.W508"]
    assert ids(resources.check(project(AMPLE._replace(somaxconn=0), workers="1"))) == []  # it does not say


def test_root_is_found(project):
    assert ids(secrets.check(project(AMPLE._replace(is_root=True)))) == ["penstock.W603"]
    assert ids(secrets.check(project())) == []


UNIT = """[Service]
WorkingDirectory={directory}
ExecStart=/usr/bin/penstock serve
{line}
"""


@pytest.mark.parametrize(
    ("line", "ids_found"),
    [
        ("", []),
        ("TimeoutStopSec=10", ["penstock.W403"]),
        ("TimeoutSec=1min 30s", []),
        ("TimeoutStopSec=10 seconds", ["penstock.W403"]),
        ("TimeoutStopSec=2minutes", []),
        ("TimeoutStopSec=500ms", ["penstock.W403"]),
        ("TimeoutStopSec=infinity", []),
    ],
)
def test_a_unit_that_waits_too_short_is_found(project, tmp_path, line, ids_found):
    site = project()
    tmp_path.joinpath("shop.service").write_text(UNIT.format(directory=site.directory, line=line))
    assert ids(limits.units(site, str(tmp_path))) == ids_found


def test_units_of_others_are_left_alone(project, tmp_path):
    text = UNIT.format(directory="/srv/other", line="TimeoutStopSec=1")
    tmp_path.joinpath("other.service").write_text(text)
    assert ids(limits.units(project(), str(tmp_path))) == []
