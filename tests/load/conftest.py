"""Whole servers of the site under_load, in the test's directory, where a test may break its files."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_penstock import RunningPenstock, servers_in
from steady_load import SteadyLoad

SITE = Path(__file__).parents[1] / "apps/under_load.py"


@pytest.fixture
def launch(tmp_path) -> Iterator[Callable[..., RunningPenstock]]:
    """Starts `penstock serve` in tmp_path; none outlives the test."""
    shutil.copy(SITE, tmp_path)
    with servers_in(tmp_path) as begin:
        yield begin


@pytest.fixture
def serve(launch) -> Callable[..., RunningPenstock]:
    """A server of the site that is ready, with as many workers as asked."""

    def begin(*arguments, workers=2, wrapper=()):
        bind = ("--bind", "127.0.0.1:0", "--workers", str(workers))
        server = launch("under_load", *bind, *arguments, wrapper=wrapper).find_port()
        server.pids = [server.wait_for_worker(number + 1) for number in range(workers)]
        return server

    return begin


@pytest.fixture
def load() -> Callable[..., SteadyLoad]:
    """Clients for a server: `with load(server) as clients`."""
    return lambda server, **counts: SteadyLoad(server.port, **counts)
