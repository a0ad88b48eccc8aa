"""Which files matter, and which places are watched."""

import pytest

from penstock.development.reloader import outermost
from penstock.development.watching import is_code, is_wanted


@pytest.mark.parametrize(
    "path", ["/p/shop/views.py", "/p/.env", "/p/.env.local", "/p/page.html", "/p/a.css", "/p/.venv/lib/x.py"]
)
def test_what_a_developer_saves_is_wanted(path):
    assert is_wanted(None, path)


@pytest.mark.parametrize(
    "path",
    ["/p/.git/index", "/p/__pycache__/a.pyc", "/p/node_modules/a.js", "/p/.views.py.swp", "/p/views.py~", "/p/#a.py#"],
)
def test_what_programs_write_for_themselves_is_not(path):
    assert not is_wanted(None, path)


def test_code_and_settings_ask_for_a_new_process():
    assert all(map(is_code, ["/p/a.py", "/p/penstock.toml", "/p/.env", "/p/.env.local"]))
    assert not any(map(is_code, ["/p/a.html", "/p/a.css", "/p/environment"]))


def test_places_within_others_are_left_out():
    assert outermost(["/a/b", "/a", "/ab", "/c/d/e", "/c/d"]) == ["/a", "/ab", "/c/d"]
