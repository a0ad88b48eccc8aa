"""The projects that the tests have every server serve."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from interop_project import new_project


@pytest.fixture(scope="module", params=["split", "single"])
def project(request) -> Iterator[Path]:
    """A new project in either layout of its settings."""
    with new_project(*(["--single-settings"] if request.param == "single" else [])) as directory:
        yield directory
