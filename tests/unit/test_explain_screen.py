import re

from penstock.explain_screen import draw
from penstock.settings import BY_NAME

ROWS = [
    ("", "application", "shop.wsgi:application", ""),
    ("[site]", "chdir", "", "default"),
    ("[server]", "bind", "127.0.0.1:8000", "default"),
    ("[site]", "workers", "4", "--workers"),
]


def test_settings_stand_under_the_headings_of_the_reference():
    text = re.sub(r"\x1b\[[0-9;]*m", "", draw(ROWS, 80))
    assert [line.split() for line in text.splitlines() if line.strip()] == [
        ["Application"],
        ["application", "shop.wsgi:application"],
        ["What", "to", "serve", "[site]"],
        ["chdir", "none", "default"],
        ["Where", "to", "listen", "[server]"],
        ["bind", "127.0.0.1:8000", "default"],
        ["Workers", "and", "threads", "[site]"],
        ["workers", "4", "--workers"],
        f"1 of {len(BY_NAME)} settings were chosen by somebody; the others are defaults.".split(),
    ]


def test_what_somebody_chose_stands_out():
    lines = draw(ROWS, 80).splitlines()
    assert any("\x1b[1;32m4" in line and "\x1b[36m--workers" in line for line in lines)
    assert any("\x1b[2m  bind" in line for line in lines)


def test_no_line_is_wider_than_the_terminal():
    rows = [*ROWS, ("[site]", "static", "/static/=" + "x" * 200, "penstock.toml:12")]
    text = re.sub(r"\x1b\[[0-9;]*m", "", draw(rows, 60))
    assert max(map(len, text.splitlines())) <= 60
    assert re.sub(r"\s", "", text).count("x") >= 200


def test_a_narrow_terminal_shows_values_and_origins_too():
    text = re.sub(r"\x1b\[[0-9;]*m", "", draw(ROWS, 40))
    assert max(map(len, text.splitlines())) <= 40
    assert [line.split() for line in text.splitlines() if "workers" in line] == [["workers", "4", "--workers"]]
    assert "default" in text
