import importlib
import sys

import pytest

from penstock.check.source import find_assignment, place_of


@pytest.fixture
def settings(own_process, tmp_path):
    """Imports a package of settings modules that is made of the texts given."""

    def make(**texts):
        package = tmp_path / "checked_settings"
        package.mkdir()
        for name, text in {"__init__": "", **texts}.items():
            package.joinpath(f"{name}.py").write_text(text)
        sys.path.insert(0, str(tmp_path))
        importlib.import_module("checked_settings.production")
        return "checked_settings.production"

    return make


def test_the_last_assignment_counts(settings):
    assert place_of(settings(production="DEBUG = True\nif True:\n    DEBUG: bool = False\n"), "DEBUG").endswith("py:3")


def test_what_is_imported_from_another_module_is_found_there(settings):
    module = settings(base="import os\nDEBUG = True\n", production="from .base import *\n")
    assert place_of(module, "DEBUG") == "checked_settings/base.py:2"


def test_an_assignment_after_the_import_wins(settings):
    module = settings(base="DEBUG = True\n", production="from .base import *\nDEBUG += 0\n")
    assert place_of(module, "DEBUG") == "checked_settings/production.py:2"


def test_settings_that_import_each_other_are_read_once(settings):
    module = settings(
        local="from .production import *\nDEBUG = False\n", production="DEBUG = True\nNAME = 1\nfrom .local import *\n"
    )
    assert place_of(module, "DEBUG") == "checked_settings/local.py:2"
    assert place_of(module, "NAME") == "checked_settings/production.py:2"
    assert place_of(module, "HOST") == "HOST"


def test_what_is_written_nowhere_has_its_name_for_a_place(settings):
    assert place_of(settings(production=""), "DEBUG") == "DEBUG"
    assert place_of("no.such.module", "DEBUG") == "DEBUG"


def test_a_default_beside_a_variable_is_spelled_out_too(settings):
    module = settings(production="import os\nSECRET_KEY = os.environ.get('NO_SUCH_VARIABLE', 'told to everybody')\n")
    found = find_assignment(module, "SECRET_KEY")
    assert found.spells_out("told to everybody")
    assert not found.spells_out("a secret")
