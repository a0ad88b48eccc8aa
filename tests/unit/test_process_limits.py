import os
import resource
import subprocess
import sys

import pytest

from penstock.errors import ConfigurationError
from penstock.process_limits import ProcessLimits, process_limits_of

REPORT = (
    "import os, resource; from penstock.process_limits import ProcessLimits; ProcessLimits(*{limits}).apply(); "
    "ProcessLimits(*{limits}).apply(); print(resource.getrlimit(resource.RLIMIT_AS), "
    "resource.getrlimit(resource.RLIMIT_NOFILE), os.getpriority(os.PRIO_PROCESS, 0), "
    "resource.getrlimit(resource.RLIMIT_CORE))"
)


def report(limits):
    """What a process says of itself that has set these limits, twice."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT.format(limits=tuple(limits))], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_configuration_without_limits_changes_nothing(configure):
    limits = process_limits_of(configure())
    assert limits == ProcessLimits()
    hard = [resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)]
    assert report(limits) == f"{hard[0]} {hard[1]} {os.getpriority(os.PRIO_PROCESS, 0)} {hard[2]}"


def test_limits_are_set_soft_and_hard(configure):
    limits = process_limits_of(configure(limit_memory="4GiB", limit_files="256", nice="19"))
    expected = f"{(2**32, 2**32)} {(256, 256)} 19 {(0, 0)}"
    assert report(limits._replace(core_dumps=False)) == expected


def test_what_the_system_refuses_is_an_error_with_the_place_to_change_it():
    with pytest.raises(
        ConfigurationError, match=r"refuses limit_files 1073741824: this process may have \d+"
    ) as error:
        ProcessLimits(files=2**30).apply()
    assert "LimitNOFILE=" in error.value.hint


@pytest.mark.parametrize("value", ["-21", "20", "1.5", "--5"])
def test_a_priority_that_does_not_exist_is_refused(configure, value):
    with pytest.raises(ConfigurationError, match="expected a whole number from -20 to 19"):
        configure(nice=value)


def test_a_priority_may_be_negative(configure):
    assert configure(nice="-5").nice == -5
