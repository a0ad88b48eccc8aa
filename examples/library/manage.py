#!/usr/bin/env python
"""The project's command line, as `django-admin startproject` writes it."""

import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "library.settings")
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("Django is not installed in this environment: try `pip install Django Pillow`.") from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
