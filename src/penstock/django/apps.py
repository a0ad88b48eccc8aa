"""Penstock among the INSTALLED_APPS: for `manage.py runserver` and `manage.py check`. Serving needs it not."""

from django.apps import AppConfig


class PenstockConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """The app "penstock.django"."""

    name = "penstock.django"
    label = "penstock"
    verbose_name = "Penstock"

    def ready(self) -> None:
        """Has `manage.py check` run our checks too."""
        from penstock.django import checks  # noqa: PLC0415 (after Django is set up)

        checks.register()
