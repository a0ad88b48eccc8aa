from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from penstock import time_zone
from penstock.time_zone import zone_of

NOON = datetime(2026, 7, 1, 12)
TOKYO = "/usr/share/zoneinfo/Asia/Tokyo"


def test_a_zone_is_named_as_tz_has_it():
    assert zone_of("Europe/Berlin") == zone_of(":Europe/Berlin") == ZoneInfo("Europe/Berlin")


def test_no_name_is_the_machines_zone(monkeypatch):
    monkeypatch.setattr(time_zone, "LOCAL", TOKYO)
    assert zone_of("").utcoffset(NOON) == timedelta(hours=9)


def test_a_zone_may_be_a_file():
    assert zone_of(f":{TOKYO}").utcoffset(NOON) == timedelta(hours=9)


def test_what_cannot_be_read_is_utc(monkeypatch):
    monkeypatch.setattr(time_zone, "LOCAL", "/nowhere")
    assert [zone_of(name) for name in ("", "Nowhere/City", "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1")] == [UTC] * 3
