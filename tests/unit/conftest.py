"""What several unit tests start from: a configuration without files, and a process that a test may turn around."""

import os
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.config import Config, load


@pytest.fixture
def configure(tmp_path) -> Callable[..., Config]:
    """Makes the configuration of the command-line arguments given, started in tmp_path."""

    def make(environment: dict[str, str] | None = None, /, **arguments: Any) -> Config:
        return load(arguments, environment or {}, str(tmp_path))

    return make


@pytest.fixture
def own_process(tmp_path, monkeypatch) -> Iterator[None]:
    """Lets a test load an application in this process: working directory, path, environment, modules come back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before, modules = dict(os.environ), set(sys.modules)
    yield
    os.environ.clear()
    os.environ.update(before)
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def running_settings(monkeypatch) -> Callable[[str], None]:
    """Makes it look as if a Django was set up in this process with a settings module."""

    def run_with(module: str) -> None:
        settings = SimpleNamespace(configured=True, SETTINGS_MODULE=module)
        monkeypatch.setitem(sys.modules, "django.conf", SimpleNamespace(settings=settings))

    return run_with
