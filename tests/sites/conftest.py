"""Several sites under one `penstock serve`, in the test's directory."""

from collections.abc import Callable, Iterator

import pytest
from asked_sites import APPLICATION, wait_until_up
from running_penstock import RunningPenstock, servers_in


@pytest.fixture
def launch(tmp_path) -> Iterator[Callable[..., RunningPenstock]]:
    """Starts `penstock serve` in tmp_path; none outlives the test."""
    with servers_in(tmp_path) as begin:
        yield begin


@pytest.fixture
def write_application(tmp_path) -> Callable[[str], None]:
    """Writes NAME.py, an application that says its name and where it was asked."""

    def write(name: str) -> None:
        tmp_path.joinpath(f"{name}.py").write_text(APPLICATION.replace("WHICH", repr(name)))

    return write


@pytest.fixture
def serve_sites(tmp_path, launch, write_application) -> Callable[..., RunningPenstock]:
    """Serves the sites of a text for penstock.toml, each with an application of its name; ready when all are up."""

    def begin(text: str, *names: str, up: tuple[str, ...] | None = None) -> RunningPenstock:
        for name in names:
            write_application(name)
        tmp_path.joinpath("penstock.toml").write_text(f'[server]\nbind = ["127.0.0.1:0"]\n{text}')
        server = launch()
        server.find_port()
        wait_until_up(server, *(names if up is None else up))
        return server

    return begin
