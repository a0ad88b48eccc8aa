import ast
from pathlib import Path

import pytest

import penstock.check
import penstock.django.checks
from penstock.check.findings import finding, reaches, sift, unknown_ids
from penstock.check.rules import BY_ID, TABLE

SOURCES = [path for path in Path(penstock.check.__file__).parent.glob("*.py") if path.name != "rules.py"]
SOURCES.append(Path(penstock.django.checks.__file__))


@pytest.fixture(scope="module")
def constants():
    """Every text in the modules that check."""
    nodes = (node for path in SOURCES for node in ast.walk(ast.parse(path.read_text())))
    return {node.value for node in nodes if isinstance(node, ast.Constant)}


@pytest.mark.parametrize("rule", TABLE, ids=lambda rule: rule.id)
def test_every_rule_is_looked_for_and_says_why_and_what_to_do(rule, constants):
    assert rule.id in constants
    assert rule.why.endswith(".")
    assert rule.fix
    assert not rule.fix.endswith(".")


def test_no_two_rules_share_an_id():
    assert len(BY_ID) == len(TABLE)


def test_what_django_says_too_is_said_once():
    theirs = finding("W107")._replace(id="security.W018", instead_of=())
    assert [found.id for found in sift([theirs, finding("E101")], [])[0]] == ["penstock.E101"]


def test_a_silenced_finding_no_longer_stands_for_djangos():
    theirs = finding("W107")._replace(id="security.W018", instead_of=())
    shown, silenced = sift([theirs, finding("E101")], ["penstock.E101"])
    assert [found.id for found in shown] == ["security.W018"]
    assert [found.id for found in silenced] == ["penstock.E101"]


@pytest.mark.parametrize(
    ("level", "threshold", "does"), [("error", "error", True), ("warning", "error", False), ("critical", "info", True)]
)
def test_a_level_reaches_what_is_as_grave_or_milder(level, threshold, does):
    assert reaches(level, threshold) is does


def test_an_id_that_there_is_not_comes_with_the_nearest_one():
    [found] = unknown_ids(["penstock.W1O7", "security.W999", "penstock.E101"])
    assert found.id == "penstock.W008"
    assert found.hint == "did you mean 'penstock.W107'?"
