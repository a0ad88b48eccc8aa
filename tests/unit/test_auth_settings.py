import json

import pytest

from penstock.config import line_in_table, load
from penstock.errors import ConfigurationError
from penstock.gateway.compose import guarded_paths
from penstock.settings import BY_NAME


def test_a_table_of_the_file_is_read_with_its_defaults(tmp_path, configure):
    tmp_path.joinpath("penstock.toml").write_text('[[site.auth]]\npath = "/reports/"\ngroups = ["staff"]\n')
    [rule] = configure().auth
    assert rule == {
        "path": "/reports",
        "realm": "Restricted",
        "users": [],
        "groups": ["staff"],
        "require": "any",
        "provider": "django",
        "cache": 60,
        "over_http": False,
        "allow": [],
        "deny": [],
    }


def test_files_in_a_table_are_beside_the_file_that_names_them(tmp_path, configure):
    tmp_path.joinpath("conf").mkdir()
    text = '[[site.auth]]\npath = "/a"\nprovider = "htpasswd:users"\nallow = ["who.wsgi:let_in", "unix"]\n'
    tmp_path.joinpath("conf/site.toml").write_text(text)
    [rule] = configure(config="conf/site.toml").auth
    assert rule["provider"] == f"htpasswd:{tmp_path}/conf/users"
    assert rule["allow"] == [f"{tmp_path}/conf/who.wsgi:let_in", "unix"]


def test_tables_are_given_as_json_elsewhere(configure):
    one, two = json.dumps({"path": "/a"}), json.dumps([{"path": "/b"}, {"path": "/c"}])
    assert [rule["path"] for rule in configure(auth=[one, two]).auth] == ["/a", "/b", "/c"]
    assert [rule["path"] for rule in configure({"PENSTOCK_AUTH": two}).auth] == ["/b", "/c"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("groups = []", "toml:5: auth: table 2: path is missing"),
        (
            'path = "/b"\ngrups = []',
            "toml:7: auth: grups of table 2: there is no such key\n\nhint: did you mean 'groups'?",
        ),
        (
            'path = "/b"\ngolf = []',
            "toml:7: auth: golf of table 2: there is no such key\n\nhint: the keys are path, realm,",
        ),
        ('path = "b"', "toml:6: auth: path of table 2: it cannot be 'b': expected a path that begins with /"),
        ('path = "/a/../b"', "toml:6: auth: path of table 2"),
        ('path = "/%61"', "not percent-encoded"),
        ('path = "//a/"', "toml:6: auth: path of table 2: /a has a table already"),
        ('path = "/b"\ncache = "soon"', "toml:7: auth: cache of table 2: it cannot be 'soon': expected a duration"),
        ('path = "/b"\nrequire = "some"', "toml:7: auth: require of table 2: .* expected one of any, all"),
        ('path = "/b"\nprovider = "a b"', "toml:7: auth: provider of table 2: .* expected django, htpasswd:FILE"),
        ('path = "/b"\nrealm = "x\\"y"', "toml:7: auth: realm of table 2"),
        ('path = "/b"\nallow = ["10.0.0.5/8"]', r"toml:7: auth: allow of table 2: .* did you mean 10\.0\.0\.0/8\?"),
        (
            'path = "/b"\ndeny = ["localhost"]',
            "toml:7: auth: deny of table 2: .* expected an address, a network,",
        ),
    ],
)
def test_a_mistake_in_a_table_is_named_with_its_line(tmp_path, configure, rule, message):
    text = f'[[site.auth]]\npath = "/a"\nrealm = "A"\n\n[[site.auth]]\n{rule}\n'
    tmp_path.joinpath("penstock.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        configure()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", ["{", "7", '["/a"]'])
def test_what_is_no_table_is_refused(configure, value):
    with pytest.raises(ConfigurationError, match=r"auth cannot be .* \(--auth\): .*expected a"):
        configure(auth=[value])


def test_a_table_that_is_written_inline_has_the_line_of_its_setting():
    text = '[site]\nauth = [\n  { path = "/a" },\n  { paht = "/b" },\n]\n'
    assert line_in_table(text, "site.auth", 1, "paht") == 2


def test_rules_are_shown_with_what_is_not_the_default(configure):
    config = configure(auth=['{"path": "/a", "groups": ["staff", "editors"], "over_http": true}', '{"path": "/"}'])
    shown = "/a (groups staff, editors, over_http true); /"
    assert BY_NAME["auth"].kind.show(config.auth) == shown


def test_the_engine_leaves_guarded_paths_alone_and_all_of_them_where_addresses_matter(configure):
    assert guarded_paths(configure()) == []
    assert guarded_paths(configure(auth=['{"path": "/a/"}', '{"path": "/b"}'])) == ["/a", "/b"]
    assert guarded_paths(configure(auth=['{"path": "/a"}'], deny=["192.0.2.1"])) == ["/"]


def test_the_engine_is_told_what_a_rule_may_mean_of_a_site_below_a_path(tmp_path):
    rule = '[[sites.shop.auth]]\npath = "/a"\n'
    tmp_path.joinpath("penstock.toml").write_text(f'[sites.shop]\npath = "/shop"\n{rule}[sites.other]\n')
    assert guarded_paths(load({"site": "shop"}, {}, str(tmp_path))) == ["/a", "/shop/a"]
