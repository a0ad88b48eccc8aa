"""Penstock among the INSTALLED_APPS: for `manage.py runserver`. Serving needs it not."""

from django.apps import AppConfig


class PenstockConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """The app "penstock.django"."""

    name = "penstock.django"
    label = "penstock"
    verbose_name = "Penstock"
