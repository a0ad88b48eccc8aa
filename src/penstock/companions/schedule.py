"""When a cron expression is due next. The expressions are cronsim's, which are those of Debian's cron."""

import os
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim

LOCAL = "/etc/localtime"


def zone_of(name: str) -> tzinfo:
    """A time zone by its name; "" is the machine's: TZ, or what /etc/localtime says, or UTC."""
    name = name or os.environ.get("TZ", "").removeprefix(":")
    if not name and os.path.exists(LOCAL):
        with open(LOCAL, "rb") as file:
            return ZoneInfo.from_file(file, LOCAL)
    try:
        return ZoneInfo(name) if name else UTC
    except (OSError, KeyError, ValueError):  # a TZ with rules of its own
        return UTC


def next_run(cron: str, after: float, zone: tzinfo) -> float:
    """The next time that fits, later than `after`; both in seconds since 1970."""
    return next(CronSim(cron, datetime.fromtimestamp(after, zone))).timestamp()
