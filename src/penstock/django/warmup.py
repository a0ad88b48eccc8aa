"""What a Django project needs between being loaded and being forked. Sends no request through it."""

import importlib

from penstock.app import failure


def warm_up() -> None:
    """Imports the URLconf, which Django would leave to the first request, and closes the database connections.

    So a mistake in a view module stops a start or a reload, and not the site; and all workers share those modules.
    Raises AppFailed.
    """
    from django.conf import settings  # noqa: PLC0415 (only once the application has imported it)
    from django.db import connections  # noqa: PLC0415

    from penstock.django.lifecycle import close_pools  # noqa: PLC0415

    urls = getattr(settings, "ROOT_URLCONF", None)
    if urls:
        try:
            importlib.import_module(urls)
        except (Exception, SystemExit) as error:
            raise failure(f"the URLconf {urls} cannot be imported", error) from error
    # Two processes that talk through one connection would get each other's answers.
    connections.close_all()
    # A pool has threads, which do not survive a fork; each worker opens one when it needs it.
    close_pools(connections.all(initialized_only=True))
