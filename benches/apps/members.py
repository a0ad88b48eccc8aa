"""One user, whose password takes as long to check as Django's: what a cache has to save."""

import hashlib

ROUNDS = 1_000_000  # Django 5.2's PBKDF2
HASH = hashlib.pbkdf2_hmac("sha256", b"river", b"salt", ROUNDS)


def check_password(_environ, user, password):
    return hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", ROUNDS) == HASH and user == "ann"


def groups_for_user(_environ, _user):
    return ["staff"]
