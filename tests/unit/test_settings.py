from pathlib import Path

import pytest

from penstock.reference import files
from penstock.settings import BY_NAME, TABLE

REFERENCE = Path(__file__).parents[2] / "docs/reference"


@pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.name)
def test_every_default_is_a_value_that_its_own_kind_accepts_and_shows(setting):
    value = setting.kind.read(setting.default, "/")
    assert setting.kind.read(setting.kind.show(value), "/") == value


def test_no_two_settings_share_a_name():
    assert len(BY_NAME) == len(TABLE)


@pytest.mark.parametrize(
    "name", ["settings.md", "metrics.md", "checks.md", "gunicorn-flags.md", "penstock.schema.json"]
)
def test_the_generated_reference_is_fresh(name):
    assert (REFERENCE / name).read_text() == files()[name], (
        "run `python -m penstock.reference docs/reference` and check the changes in"
    )
