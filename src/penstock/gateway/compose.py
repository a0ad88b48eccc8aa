"""Puts together what the configuration asks for around an application. What is not asked for is not there."""

from penstock.app import Application
from penstock.config import Config


def compose(application: Application, config: Config) -> Application:
    """The application with its layers, each inside the next: middleware, then mounts beside it, then the guard.

    What comes later stands further out. Raises PenstockError for a layer that cannot be loaded.
    """
    if config.middleware:
        from penstock.gateway.middleware import wrap  # noqa: PLC0415 (each part only where it is asked for)

        application = wrap(application, config.middleware, config.origin("middleware"))
    if config.mounts:
        from penstock.gateway.mounts import mount  # noqa: PLC0415

        application = mount(application, config.mounts, config.origin("mounts"))
    if guarded_paths(config):
        from penstock.gateway.auth import guard  # noqa: PLC0415

        application = guard(application, config)
    return application


def guarded_paths(config: Config) -> list[str]:
    """The paths that not everybody may see: the engine asks the guard before it sends a file from there.

    It knows whole paths only: a rule of a site below a path may mean the rest.
    """
    if config.allow or config.deny:
        return ["/"]
    site = config.path.rstrip("/")
    return [place for table in config.auth for place in dict.fromkeys((table["path"], site + table["path"]))]
