import sys
import threading

import pytest

from penstock.errors import AppNotFound, ConfigurationError
from penstock.gateway.providers import MOST_REMEMBERED, Accounts, Provider, load_provider, with_constant_work


class Users:
    """A provider that counts how often it is asked, at a time that a test sets."""

    def __init__(self, answer=True):
        self.answer, self.asked, self.now = answer, 0, 1000.0
        self.accounts = Accounts(Provider("test", self.check_password, lambda *_: [b"staff"]), self.clock)

    def clock(self):
        return self.now

    def check_password(self, _environ, _user, password):
        self.asked += 1
        return self.answer if password == "right" else False

    def ask(self, password="right", user="ann", cache=60.0):
        digest = self.accounts.digest(user, password)
        recalled = self.accounts.recall(digest, cache)
        return recalled or self.accounts.ask({}, digest, user, password, cache)


def test_a_right_password_is_asked_for_once_in_the_time_of_the_cache():
    users = Users()
    first = users.ask()
    users.now += 59
    assert users.ask() is first
    assert users.asked == 1
    users.now += 1
    assert users.ask().user == "ann"
    assert users.asked == 2


def test_a_wrong_password_is_not_remembered_and_a_changed_one_counts_after_the_time_of_the_cache():
    users = Users()
    assert users.ask("wrong") is None
    assert users.accounts.remembered == {}
    users.ask()
    users.answer = False
    users.now += 59
    assert users.ask()
    users.now += 1
    assert users.ask() is None
    assert users.ask(cache=3600) is None


def test_without_a_cache_each_request_asks():
    users = Users()
    users.ask(cache=0)
    users.ask(cache=0)
    assert users.asked == 2
    assert users.accounts.remembered == {}


def test_where_the_name_ends_and_the_password_begins_matters():
    accounts = Users().accounts
    assert accounts.digest("a", "bc") != accounts.digest("ab", "c")
    assert accounts.digest("a", "bc") == accounts.digest("a", "bc")
    assert accounts.digest("a", "bc") != Users().accounts.digest("a", "bc")


def test_no_password_is_kept():
    users = Users()
    users.ask()
    kept = repr([(digest, account.user, account.groups) for digest, account in users.accounts.remembered.items()])
    assert "ann" in kept
    assert "right" not in kept


def test_what_is_remembered_has_an_end():
    users = Users()
    first = users.accounts.digest("user 0", "right")
    for number in range(MOST_REMEMBERED + 1):
        users.ask(user=f"user {number}")
    assert len(users.accounts.remembered) == MOST_REMEMBERED
    assert users.accounts.recall(first, 60) is None


def test_threads_that_come_with_the_same_password_wait_for_one_check():
    users, inside, go = Users(), threading.Event(), threading.Event()

    def slow(environ, user, password):
        users.asked += 1
        inside.set()
        go.wait(60)
        return True

    users.accounts.provider = Provider("test", slow, None)
    found = []
    threads = [threading.Thread(target=lambda: found.append(users.ask())) for _ in range(4)]
    for thread in threads:
        thread.start()
    inside.wait(60)
    go.set()
    for thread in threads:
        thread.join(60)
    assert users.asked == 1
    assert len({id(account) for account in found}) == 1


def test_a_provider_may_say_how_the_user_is_called():
    assert Users(answer="ann@example").ask().user == "ann@example"


@pytest.mark.parametrize("answer", [1, b"ann", object()])
def test_an_answer_that_means_nothing_is_an_error_and_lets_nobody_in(answer):
    with pytest.raises(TypeError, match="check_password of test must return True, False"):
        Users(answer=answer).ask()


def test_groups_are_asked_for_once_and_may_be_bytes():
    users = Users()
    account = users.ask()
    assert users.accounts.groups({}, account) is users.accounts.groups({}, account) == {"staff"}


def test_a_module_or_an_object_in_it_may_know_the_users(own_process, tmp_path):
    check = "def check_password(environ, user, password): return user == password\n"
    staff = "class Staff:\n    check_password = staticmethod(check_password)\n"
    tmp_path.joinpath("staff.py").write_text(check + staff)
    sys.path.insert(0, str(tmp_path))
    for name in ("staff", "staff:Staff", f"{tmp_path}/staff.py", f"{tmp_path}/staff.py:Staff"):
        provider = load_provider(name, "test")
        assert provider.check_password({}, "a", "a") is True
        assert provider.groups_for_user is None


def test_a_module_without_check_password_is_refused(own_process, tmp_path):
    tmp_path.joinpath("users.wsgi").touch()
    with pytest.raises(AppNotFound, match=r"test: .*users.wsgi has no function check_password\(environ, user, passwo"):
        load_provider(f"{tmp_path}/users.wsgi", "test")


def test_django_without_its_users_is_refused_with_what_else_there_is(own_process):
    with pytest.raises(ConfigurationError, match=r"test: the provider django needs a Django project") as caught:
        load_provider("django", "test")
    assert 'provider = "htpasswd:FILE"' in caught.value.hint


@pytest.mark.parametrize(("answer", "hashed"), [(None, ["x"]), (True, []), (False, [])])
def test_an_older_django_hashes_for_unknown_users_too(answer, hashed):
    done = []

    class Handler:
        class UserModel:
            def set_password(self, password):
                done.append(password)

        @staticmethod
        def check_password(*_):
            return answer

    assert with_constant_work(Handler)({}, "ann", "x") is answer
    assert done == hashed
