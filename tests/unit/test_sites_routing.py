import pytest
from hypothesis import given
from hypothesis import strategies as some

from penstock.config import load
from penstock.errors import ConfigurationError
from penstock.sites.routing import Rule, losers, owner_of, rules_for


@pytest.fixture
def rules(tmp_path):
    def read(text):
        path = tmp_path / "penstock.toml"
        path.write_text(text)
        names = load({"config": str(path)}, {}, str(tmp_path)).sites
        return rules_for({name: load({"config": str(path), "site": name}, {}, str(tmp_path)) for name in names})

    return read


def test_each_host_of_a_site_is_a_rule_and_the_default_site_has_every_other(rules):
    text = '[sites.shop]\nhosts = ["shop.example", "*.shop.example"]\n[sites.blog]\ndefault = true\npath = "/blog"\n'
    assert rules(text) == [
        Rule("shop.example", "/", "shop"),
        Rule("*.shop.example", "/", "shop"),
        Rule("", "/blog", "blog"),
    ]


def test_two_sites_that_claim_the_same_place_are_both_named(rules):
    text = '[sites.shop]\nhosts = ["a.example"]\npath = "/x"\n[sites.blog]\npath = "/x/"\nhosts = ["A.example."]\n'
    with pytest.raises(ConfigurationError) as error:
        rules(text)
    assert "shop (" in error.value.message
    assert "blog (" in error.value.message
    assert "both claim a.example/x" in error.value.message


def test_two_default_sites_are_refused(rules):
    with pytest.raises(ConfigurationError, match="both claim every other host"):
        rules("[sites.shop]\ndefault = true\n[sites.blog]\ndefault = true\n")


def test_a_site_that_no_request_would_reach_is_refused(rules):
    with pytest.raises(ConfigurationError, match="neither hosts nor default"):
        rules("[sites.shop]\nworkers = 1\n")


@pytest.mark.parametrize(
    ("host", "path", "site"),
    [
        ("a.example", "/", "whole"),
        ("a.example", "/blog", "blog"),
        ("a.example", "/blog/x", "blog"),
        ("a.example", "/blogs", "whole"),
        ("b.example", "/", "wild"),
        ("x.y.example", "/", "longer"),
        ("example", "/", "rest"),
    ],
)
def test_the_most_specific_host_wins_and_then_the_longest_path(host, path, site):
    rules = [
        Rule("", "/", "rest"),
        Rule("*.example", "/", "wild"),
        Rule("*.y.example", "/", "longer"),
        Rule("a.example", "/", "whole"),
        Rule("a.example", "/blog", "blog"),
    ]
    assert owner_of(rules, host, path) == site


def test_who_loses_requests_to_a_new_site_is_known_and_nobody_else():
    before = [Rule("", "/", "rest"), Rule("a.example", "/", "a")]
    assert losers(before, [*before, Rule("b.example", "/", "b")]) == ["rest"]
    assert losers(before, [*before, Rule("a.example", "/x", "b")]) == ["a"]
    assert losers(before, before[:1]) == []


hosts = some.sampled_from(["", "a.example", "*.example", "b.a.example", "*.a.example"])
paths = some.sampled_from(["/", "/x", "/x/y", "/z"])


@given(some.dictionaries(some.tuples(hosts, paths), some.sampled_from("abc"), min_size=1), hosts, paths)
def test_a_site_that_gets_a_request_has_a_rule_for_it(table, host, path):
    rules = [Rule(*place, site) for place, site in table.items()]
    owner = owner_of(rules, host.lstrip("*."), path)
    assert owner in {"", *table.values()}
    if ("", "/") in table:
        assert owner
