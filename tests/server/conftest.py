"""Engines that a whole module shares, engines that one test starts, and whole servers in the test's directory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hello_site import hello
from running_engine import RunningEngine, running
from running_penstock import RunningPenstock, servers_in


@pytest.fixture
def start() -> Iterator[Callable[..., RunningEngine]]:
    """Starts engines, and checks after the test that each of them ended cleanly."""
    with ExitStack() as stack:
        yield lambda app, **options: stack.enter_context(running(app, **options))


@pytest.fixture(scope="module")
def module_start() -> Iterator[Callable[..., RunningEngine]]:
    """The same for engines that the tests of a module share."""
    with ExitStack() as stack:
        yield lambda app, **options: stack.enter_context(running(app, **options))


@pytest.fixture(scope="module")
def shared_engine(request) -> Iterator[RunningEngine]:
    """One engine for the module, which names the application as APP and may give OPTIONS."""
    with running(request.module.APP, **getattr(request.module, "OPTIONS", {})) as shared:
        yield shared


@pytest.fixture
def engine(shared_engine) -> Iterator[RunningEngine]:
    """The module's engine; after each test nothing is left unheard, held or unread in the log."""
    yield shared_engine
    assert shared_engine.tester.release_all() == []
    assert shared_engine.logged() == ""


@pytest.fixture
def launch(tmp_path) -> Iterator[Callable[..., RunningPenstock]]:
    """Starts `penstock serve` in tmp_path; none outlives the test."""
    with servers_in(tmp_path) as begin:
        yield begin


@pytest.fixture
def serve(tmp_path, launch) -> Callable[..., RunningPenstock]:
    """A server of hello.py that is ready, with as many workers as asked."""

    def begin(*arguments, workers=1, source=None, **options):
        tmp_path.joinpath("hello.py").write_text(source or hello("one"))
        server = launch("hello", "--bind", "127.0.0.1:0", "--workers", str(workers), *arguments, **options)
        server.find_port()
        server.pids = server.wait_for_workers(*range(1, workers + 1))
        return server

    return begin
