"""Tells Django that the catalogue is an application."""

from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    name = "catalogue"
