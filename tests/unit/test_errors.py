import pytest

import penstock
from penstock.errors import KINDS, AppFailed, PenstockError, RequestTimeout, from_message, nearest


def test_an_error_reads_as_sentence_detail_and_hint():
    error = AppFailed("shop cannot be imported", hint="mend it", detail="  line 3\n")
    assert str(error) == "shop cannot be imported\n\n  line 3\n\nhint: mend it"


def test_an_error_without_detail_and_hint_is_one_line():
    assert str(PenstockError("no")) == "no"


@pytest.mark.parametrize("kind", KINDS.values())
def test_an_error_survives_the_way_through_a_pipe(kind):
    error = from_message(kind("what", "hint", "detail").to_message())
    assert type(error) is kind
    assert (error.message, error.hint, error.detail, error.exit_code) == ("what", "hint", "detail", kind.exit_code)


def test_the_nearest_word_is_offered_only_when_it_is_near():
    assert nearest("aplication", ["application", "os"]) == "did you mean 'application'?"
    assert nearest("zzz", ["application", "os"]) == ""


def test_a_timeout_is_exported_and_not_swallowed_with_every_exception():
    assert penstock.RequestTimeout is RequestTimeout
    assert not issubclass(RequestTimeout, Exception)
    assert str(RequestTimeout()) == "the request has passed its deadline (the setting timeout)"
