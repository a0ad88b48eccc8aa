from readings import reading, snapshot, worker

from penstock.admin.metrics import Facts
from penstock.admin.statsd import LARGEST_PACKET, Report, pack


def lines(report, *workers, **values):
    return list(report.lines(Facts(snapshot(*workers, **values), {1: 4096})))


def test_a_counter_is_sent_as_what_was_counted_since_the_last_time():
    report = Report("site")
    assert "site.requests:5|c" in lines(report, worker(1, reading(requests=5)))
    assert "site.requests:3|c" in lines(report, worker(1, reading(requests=8)))


def test_a_counter_that_has_not_moved_is_not_sent():
    report = Report("")
    still = worker(1, reading(requests=5))
    lines(report, still)
    assert not [line for line in lines(report, still) if line.endswith("|c")]


def test_gauges_are_sent_each_time_with_the_label_in_their_name():
    report = Report("penstock")
    for _ in range(2):
        found = lines(report, worker(1, reading(connections_open=2)))
        assert "penstock.connections_open:2|g" in found
        assert "penstock.workers.ready:1|g" in found
        assert "penstock.worker_memory_bytes.1:4096|g" in found
        assert "penstock.build_info.0_1_0:1|g" in found


def test_quantiles_are_of_the_requests_since_the_last_time():
    report = Report("p")
    first = lines(report, worker(1, reading(0.00004, 0.00004)))
    assert "p.request_duration_seconds.p50:5e-05|g" in first
    second = lines(report, worker(1, reading(0.00004, 0.00004, 0.0032, 0.0064)))
    assert "p.request_duration_seconds.p50:0.0032|g" in second
    assert "p.request_duration_seconds.p99:0.0064|g" in second
    assert not [line for line in lines(report, worker(1, reading(1, 1, 1, 1))) if ".p50" in line]


def test_the_first_worker_may_come_after_the_first_report():
    report = Report("p")
    assert not [line for line in lines(report) if ".p50" in line]
    assert [line for line in lines(report, worker(1, reading(0.1))) if ".p50" in line]


def test_packets_fit_into_a_frame_and_lose_no_line():
    texts = [f"name{number}:{number}|c" for number in range(1000)]
    packets = list(pack(iter(texts)))
    assert max(map(len, packets)) <= LARGEST_PACKET
    assert b"\n".join(packets).decode().split("\n") == texts
    assert list(pack(iter(()))) == []
