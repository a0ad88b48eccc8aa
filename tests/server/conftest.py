"""Engines that a whole module shares, and engines that one test starts with options of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from running_engine import RunningEngine, running


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
