"""Time zones by what names them. Does not ask the C library, which follows Django's TIME_ZONE."""

import os
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

LOCAL = "/etc/localtime"


def zone_of(name: str) -> tzinfo:
    """A time zone as TZ has it: a name or a file; "" is what /etc/localtime says; UTC where that is not there."""
    name = name.removeprefix(":") or LOCAL
    try:
        if not os.path.isabs(name):
            return ZoneInfo(name)
        with open(name, "rb") as file:
            return ZoneInfo.from_file(file, name)
    except (OSError, KeyError, ValueError):  # a TZ with rules of its own
        return UTC
