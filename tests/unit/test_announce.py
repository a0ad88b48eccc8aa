import socket

from penstock.announce import block, lines
from penstock.sockets import Listener

FACTS = {
    "name": "shop.wsgi:application",
    "rule": "WSGI_APPLICATION in shop.settings",
    "settings": "shop.settings",
    "settings_origin": "manage.py",
    "directory": "/srv/shop",
    "mounts": [{"prefix": "/static/", "roots": ["/srv/shop/static"]}],
}


def test_the_block_says_what_was_found_by_which_rule_and_where_it_is_served(configure):
    with socket.socket() as listening:
        config = configure(workers="1", auth=['{"path": "/reports", "groups": ["staff"]}'])
        rows = lines(config, [Listener(listening, "tcp", "::1", "8000", "")], 1, 8, FACTS)
    assert rows == [
        ("application", "shop.wsgi:application", "WSGI_APPLICATION in shop.settings"),
        ("settings", "shop.settings", "manage.py"),
        ("directory", "/srv/shop", ""),
        ("address", "http://[::1]:8000", "default"),
        ("processes", "1 worker × 8 threads", "--workers"),  # noqa: RUF001
        ("files", "/static/ → /srv/shop/static", ""),
        ("guarded", "/reports (groups staff)", "--auth"),
    ]


def test_what_is_combined_with_the_application_is_said_below_it(configure):
    config = configure(middleware=["shop:Audit"], mounts=["/blog=blog:app"])
    assert lines(config, [], 1, 8, FACTS)[1:3] == [
        ("middleware", "shop:Audit", "--middleware"),
        ("mount", "/blog → blog:app", "--mounts"),
    ]


def test_the_block_is_aligned():
    rows = [("a", "one", "rule"), ("long", "three", "other"), ("b", "far too long to align with", "")]
    text = block(rows, False, "Penstock")
    assert text.splitlines()[1:] == [
        "  a     one    rule",
        "  long  three  other",
        "  b     far too long to align with",
    ]


def test_colours_change_no_words():
    coloured = block([("a", "one", "rule")], True, "Penstock")
    assert "\x1b[" in coloured
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[2m"):
        coloured = coloured.replace(code, "")
    assert coloured == block([("a", "one", "rule")], False, "Penstock")
