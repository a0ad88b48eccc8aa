import sys
import time

from penstock.sites.client import status

SITE = {"name": "shop", "state": "idle", "since": time.monotonic(), "pid": None, "control": "", "error": ""}
FRONT = {"pid": 7, "connections_handed": 1, "connections_held": 0, "rejected": 0, "unknown_hosts": 0}


def test_a_program_reads_the_table_of_sites_whole(tmp_path, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    places = [f"a-rather-long-name-{number}.example.org/below" for number in range(5)]
    snapshot = {"version": "1.0", "pid": 1, "uptime": 1, "addresses": [], "front": FRONT}
    with tmp_path.joinpath("pipe").open("w") as output:
        monkeypatch.setattr(sys, "__stdout__", output)
        shown = status(snapshot | {"sites": [SITE | {"places": places}]}, as_json=False)
    assert shown.splitlines()[-1].endswith(" ".join(places))
