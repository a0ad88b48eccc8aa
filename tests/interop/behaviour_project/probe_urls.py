"""The project's own URLs, with the probes ahead of them."""

from importlib import import_module

from django.conf import settings
from django.urls import include, path

urlpatterns = [path("probe/", include("probes")), *import_module(settings.PROBED_URLS).urlpatterns]
