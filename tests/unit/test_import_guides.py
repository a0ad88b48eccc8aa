import re
import tomllib
from pathlib import Path

import pytest
from imports import import_text

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


@pytest.mark.parametrize(
    ("guide", "name"),
    [("from-gunicorn", "gunicorn.conf.py"), ("from-uwsgi", "uwsgi.ini"), ("from-apache-and-mod-wsgi", "shop.conf")],
)
def test_the_example_of_a_guide_becomes_what_the_guide_shows(capsys, tmp_path, guide, name):
    [source, result] = re.findall(r"```\w+\n(.*?)```", (GUIDES / f"{guide}.md").read_text(), re.DOTALL)
    imported = import_text(capsys, tmp_path, name, source)
    assert tomllib.loads(imported.text) == tomllib.loads(result)
