import math
import re
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from readings import reading, snapshot, worker

from penstock._native import Scoreboard
from penstock.admin.metrics import TABLE, Facts, escape, exposition, page_lines
from penstock.admin.totals import COUNTERS, Totals, add_up, quantile

DOCUMENTS = Path(__file__).parents[3] / "docs"


def samples(facts):
    """Every sample of the exposition by name and labels, as prometheus_client's parser reads them."""
    families = text_string_to_metric_families(exposition(facts))
    return {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}


def test_the_exposition_is_what_prometheus_reads():
    one = worker(1, reading(0.003, 0.2, requests=2, responses_2xx=2, connections_open=3, threads_busy=1))
    found = samples(Facts(snapshot(one), {1: 4096}))
    assert found["penstock_requests_total",] == 2
    assert found["penstock_responses_total", ("class", "2xx")] == 2
    assert found["penstock_connections_open",] == 3
    assert found["penstock_worker_memory_bytes", ("worker", "1")] == 4096
    assert found["penstock_worker_restarts_total", ("reason", "reload")] == 2
    assert found["penstock_workers", ("state", "ready")] == 1
    assert found["penstock_workers", ("state", "leaving")] == 0
    assert found["penstock_build_info", ("version", "0.1.0")] == 1
    assert found["penstock_request_duration_seconds_count",] == 2
    assert found["penstock_request_duration_seconds_sum",] == pytest.approx(0.203)
    assert found["penstock_request_duration_seconds_bucket", ("le", "0.0032")] == 1
    assert found["penstock_request_duration_seconds_bucket", ("le", "+Inf")] == 2


def test_every_metric_of_the_table_is_exposed_with_its_type_and_help():
    families = {family.name: family for family in text_string_to_metric_families(exposition(Facts(snapshot(), {})))}
    for metric in TABLE:
        family = families["penstock_" + metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)


def test_buckets_never_fall_and_each_is_twice_the_one_before():
    found = samples(Facts(snapshot(worker(1, reading(0.00001, 0.0003, 0.07, 900))), {}))
    counts = {
        float(dict(labels)["le"]): value
        for (name, *labels), value in found.items()
        if name == "penstock_request_duration_seconds_bucket"
    }
    bounds = sorted(counts)
    assert [counts[bound] for bound in bounds] == sorted(counts.values())
    assert all(later == pytest.approx(2 * bound) for bound, later in pairwise(bounds[:-1]))
    assert (bounds[0], bounds[-1], counts[bounds[-2]], counts[math.inf]) == (0.00005, math.inf, 3, 4)


def test_without_a_worker_there_are_zeros():
    found = samples(Facts(snapshot(), {}))
    assert found["penstock_requests_total",] == 0
    assert found["penstock_request_duration_seconds_bucket", ("le", "+Inf")] == 0


def test_names_follow_the_conventions_of_prometheus():
    for metric in TABLE:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert not metric.help.endswith("."), metric.name


def test_a_counter_does_not_go_back_when_a_worker_is_replaced():
    totals = Totals()
    before = reading(0.1, requests=5, bytes_out=100, connections_open=2)
    busy = samples(Facts(snapshot(worker(1, before)), {}))
    totals.add(before)
    replaced = samples(Facts(snapshot(worker(1, reading()), departed=totals.reading), {}))
    for name in ("penstock_requests_total", "penstock_sent_bytes_total", "penstock_request_duration_seconds_count"):
        assert replaced[name,] == busy[name,] > 0
    assert (busy["penstock_connections_open",], replaced["penstock_connections_open",]) == (2, 0)
    totals.add(reading(0.2, requests=7))
    assert samples(Facts(snapshot(departed=totals.reading), {}))["penstock_requests_total",] == 12


def test_the_sum_of_no_readings_counts_nothing():
    total = add_up([{}, {}])
    assert total["requests"] == 0
    assert total["duration"] == {"sum": 0, "buckets": []}


def test_every_number_of_the_scoreboard_has_a_place():
    numbers = {name for name, value in Scoreboard(1, 1).read(0).items() if isinstance(value, int)}
    gauges = {"connections_open", "queue_length", "threads_started", "threads_stuck", "threads_busy"}
    assert numbers == set(COUNTERS) | gauges


def test_a_label_is_escaped():
    assert escape('a"b\\c\nd') == r"a\"b\\c\nd"


def test_a_quantile_is_the_bound_below_which_so_many_are():
    buckets = [(0.1, 50), (0.2, 99), (0.4, 99), (math.inf, 100)]
    assert [quantile(buckets, share) for share in (0.5, 0.51, 0.99, 1)] == [0.1, 0.2, 0.2, 0.4]
    assert quantile([], 0.5) == quantile([(0.1, 0), (math.inf, 0)], 0.5) == 0


def test_the_reference_page_names_every_metric():
    text = "\n".join(page_lines())
    assert all(f"`penstock_{metric.name}`" in text for metric in TABLE)


def test_the_guide_names_only_metrics_that_exist():
    named = re.findall(r"penstock_(\w+?)(?:_bucket|_sum|_count)?\b", (DOCUMENTS / "guides/monitoring.md").read_text())
    assert named
    assert set(named) <= {metric.name for metric in TABLE}


def test_what_runs_beside_the_web_is_counted_by_name():
    processes = [{"name": "queue", "pid": 7, "restarts": 3}, {"name": "beat", "pid": None, "restarts": 0}]
    jobs = [{"name": "tidy", "runs": 5, "failures": 2}]
    found = samples(Facts(snapshot(processes=processes, jobs=jobs), {}))
    assert found["penstock_process_up", ("process", "queue")] == 1
    assert found["penstock_process_up", ("process", "beat")] == 0
    assert found["penstock_process_restarts_total", ("process", "queue")] == 3
    assert found["penstock_job_runs_total", ("job", "tidy")] == 5
    assert found["penstock_job_failures_total", ("job", "tidy")] == 2
