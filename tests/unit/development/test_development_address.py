"""Django's address forms, and what is said of others."""

import pytest

from penstock.development.address import Address, parse
from penstock.errors import UsageError


@pytest.mark.parametrize(
    ("text", "has_ipv6", "address"),
    [
        ("", False, Address("127.0.0.1", 8000, False)),
        ("", True, Address("::1", 8000, True)),
        ("7000", False, Address("127.0.0.1", 7000, False)),
        ("1.2.3.4:7000", False, Address("1.2.3.4", 7000, False)),
        ("0:7000", False, Address("0", 7000, False)),
        ("[::]:7000", False, Address("::", 7000, True)),
        ("test.domain.local:7000", False, Address("test.domain.local", 7000, False)),
        ("localhost:7000", True, Address("localhost", 7000, True)),
    ],
)
def test_djangos_forms_are_read(text, has_ipv6, address):
    assert parse(text, has_ipv6) == address


@pytest.mark.parametrize("text", ["eight", ":8000", "::1:8000", "host:", "70000", "a b:80"])
def test_other_forms_are_refused(text):
    with pytest.raises(UsageError, match="is not a port number or an address"):
        parse(text, False)


def test_an_ipv4_address_is_refused_where_ipv6_is_wanted():
    with pytest.raises(UsageError, match=r"'1\.2\.3\.4' is not an IPv6 address"):
        parse("1.2.3.4:8000", True)
