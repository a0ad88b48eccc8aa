"""Settings that contradict each other, or the systemd unit that starts the site. Only compares numbers."""

import glob
import os
import re
from collections.abc import Iterator

from penstock.capacity import read_text
from penstock.check.findings import Finding, finding
from penstock.check.project import Project
from penstock.config import Config
from penstock.kinds import Duration
from penstock.settings import BY_NAME

UNITS = "/etc/systemd/system"
SYSTEMD_STOP = 90.0  # seconds, unless DefaultTimeoutStopSec says otherwise
SPANS = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec"), 0.001),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
}


def check(project: Project) -> Iterator[Finding]:
    """All of them."""
    config = project.config
    if config.timeout and config.graceful_timeout < config.timeout:
        yield finding(
            "W401",
            f"graceful_timeout is {shown(config, 'graceful_timeout')}, timeout is {shown(config, 'timeout')}",
            object=config.origin("graceful_timeout" if config.origin("timeout") == "default" else "timeout"),
        )
    yield from without_effect(config)
    if project.is_deploy:
        yield from units(project, UNITS)


def without_effect(config: Config) -> Iterator[Finding]:
    """Settings that another one makes idle."""
    pairs = [
        ("slow_request_log", "timeout", 0 < config.timeout <= config.slow_request_log),
        ("max_memory", "max_memory_hard", 0 < config.max_memory_hard <= config.max_memory),
        ("max_requests_jitter", "max_requests", config.max_requests_jitter and not config.max_requests),
    ]
    for idle, other, is_idle in pairs:
        if is_idle:
            message = f"{idle} = {shown(config, idle)} has no effect, since {other} = {shown(config, other)}"
            yield finding("W402", message, object=config.origin(idle))


def units(project: Project, directory: str) -> Iterator[Finding]:
    """The systemd units that serve this project, and how long they wait at a stop."""
    config = project.config
    for path in sorted(glob.glob(os.path.join(glob.escape(directory), "*.service"))):
        text = read_text(path)
        if "penstock" not in text or project.directory not in text:
            continue
        stop = stop_time(text)
        if stop and stop < config.graceful_timeout:
            limit = Duration(0, stop).show(stop)
            message = f"TimeoutStopSec is {limit}, graceful_timeout is {shown(config, 'graceful_timeout')}"
            yield finding("W403", message, object=path)


def stop_time(unit: str) -> float:
    """Seconds that a unit leaves for stopping; 0 for any time."""
    lines = re.findall(r"^\s*Timeout(?:Stop)?Sec\s*=\s*(\S.*?)\s*$", unit, re.MULTILINE)
    if not lines:
        return SYSTEMD_STOP
    if lines[-1] == "infinity":
        return 0.0
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", lines[-1])
    return sum(float(number) * SPANS.get(unit_name, 0.0) for number, unit_name in parts)


def shown(config: Config, name: str) -> str:
    """A setting's value as one would write it."""
    return BY_NAME[name].kind.show(config.values[name].value)
