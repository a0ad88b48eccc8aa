"""Workers share what the application has loaded: four of the example project cost at most twice as much as one."""

from running_penstock import servers_in
from running_site import manage

from penstock.processes import memory_of


def memory_with(workers, library):
    """What the workers and their mold occupy (PSS, bytes), after each of them has answered some pages."""
    with servers_in(library) as begin:
        server = begin("--bind", "127.0.0.1:0", "--workers", str(workers)).find_port()
        pids = [server.wait_for_worker(number + 1) for number in range(workers)]
        for _ in range(20 * workers):
            assert "Henry David Thoreau" in server.get("/?q=walden")
        mold = memory_of(server.mold())
        each = [memory_of(pid) for pid in pids]
        print(f"{workers}: mold {mold >> 20} MiB, workers {[size >> 20 for size in each]} MiB")
        server.send("TERM")
        assert server.wait_for_end() == 0
    return mold + sum(each), each


def test_four_workers_of_the_example_take_at_most_twice_the_memory_of_one(library, monkeypatch):
    monkeypatch.setenv("DJANGO_DEBUG", "0")
    manage(library, "collectstatic", "--no-input", "--verbosity", "0")
    one, _ = memory_with(1, library)
    four, _ = memory_with(4, library)
    print(f"together: {one >> 20} MiB with one worker, {four >> 20} MiB with four")
    assert four <= 2 * one
