"""Whether the application and each middleware around it keep WSGI's contract. Asks for /, in this process."""

from collections.abc import Iterator

from penstock.check.findings import Finding, finding
from penstock.check.project import Project
from penstock.gateway.validator import check_layers


def check(project: Project) -> Iterator[Finding]:
    """What each layer does that it must not do. `project.application` is what stands inside all of them."""
    config = project.config
    for one in check_layers(project.application, config.middleware, config.origin("middleware")):
        yield finding("E009", f"{one.layer} {one.problem}", hint=f"see {one.reference}", object=one.request)
