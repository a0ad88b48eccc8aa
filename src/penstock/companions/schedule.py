"""When a cron expression is due next. The expressions are cronsim's, which are those of Debian's cron."""

from datetime import datetime, tzinfo

from cronsim import CronSim


def next_run(cron: str, after: float, zone: tzinfo) -> float:
    """The next time that fits, later than `after`; both in seconds since 1970."""
    return next(CronSim(cron, datetime.fromtimestamp(after, zone))).timestamp()
