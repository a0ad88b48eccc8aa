import json
import re

from penstock.check.findings import finding
from penstock.check.report import Report, as_json, as_text

FOUND = [
    finding("W107", object="shop/settings.py:9"),
    finding("E101", detail="one\n  two\n"),
    finding("E202", "STATIC_ROOT var/static does not exist"),
]
REPORT = Report("penstock check: shop", "for production", FOUND, [finding("W603")], "error", True)


def test_findings_stand_below_their_theme_the_gravest_first():
    lines = as_text(REPORT, False, 80).splitlines()
    heads = [line for line in lines if re.match(r"[A-Z]|  (error|warning)", line)]
    assert heads == [
        "Security",
        "  error   DEBUG is on",
        "  warning ALLOWED_HOSTS allows every name",
        "Files",
        "  error   STATIC_ROOT var/static does not exist",
    ]


def test_a_finding_says_where_and_why_and_what_to_do():
    text = as_text(REPORT, False, 80)
    assert "          penstock.W107 in shop/settings.py:9\n" in text
    assert "          fix: name the site: `ALLOWED_HOSTS = ['www.example.org']`\n" in text
    assert "          one\n            two\n" in text


def test_the_last_line_counts():
    assert as_text(REPORT, False, 80).splitlines()[-1] == "2 errors, 1 warning (1 silenced)"
    nothing = REPORT._replace(findings=[], silenced=[])
    assert as_text(nothing, False, 80).splitlines()[-1] == "nothing found"


def test_no_line_is_wider_than_the_terminal_and_no_command_is_torn_apart():
    text = as_text(REPORT._replace(findings=[finding("E106"), finding("E201")]), False, 60)
    assert max(map(len, text.splitlines())) <= 60
    assert "`STATIC_ROOT = BASE_DIR / 'var/static'`" in text


def test_colours_are_for_terminals():
    assert "\x1b" not in as_text(REPORT, False, 80)
    assert re.sub(r"\x1b\[[0-9;]*m", "", as_text(REPORT, True, 80)) == as_text(REPORT, False, 80)


def test_json_has_all_of_it():
    told = json.loads(as_json(REPORT))
    assert (told["failed"], told["counts"]["error"], told["silenced"]) == (True, 2, ["penstock.W603"])
    assert told["findings"][0]["id"] == "penstock.W107"
    assert told["findings"][0]["link"] == "reference/checks.html#penstock-w107"
