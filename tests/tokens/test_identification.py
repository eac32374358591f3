"""Whose a pasted secret is: found in one query with what is said about it, and in none if nobody can have it."""

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from tests.conftest import ORIGIN, MakeKey
from tests.typos import with_another_end
from tokens import services
from tokens.identification import refresh_token_of, secret_of
from vault.secret_format import REFRESH, new_secret

pytestmark = pytest.mark.django_db


def test_a_secret_is_found_with_its_key_and_owner(
    make_key: MakeKey, developer: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    key, secret = make_key()
    with django_assert_num_queries(1):
        found = secret_of(secret)
        assert found is not None
        assert (found.key.pk, found.key.owner.email) == (key.pk, developer.email)


def test_a_refresh_token_is_found_with_its_log_in_and_user(
    developer: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    issued = services.issue_to_user(user=developer, scopes=None, agent="", origin=ORIGIN)
    with django_assert_num_queries(1):
        found = refresh_token_of(issued.refresh_token or "")
        assert found is not None
        assert found.family.user.email == developer.email


def test_what_nobody_can_have_costs_no_query(
    make_key: MakeKey, developer: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _, secret = make_key()
    refresh_token = services.issue_to_user(user=developer, scopes=None, agent="", origin=ORIGIN).refresh_token or ""
    with django_assert_num_queries(0):
        for text in ("", "x", with_another_end(secret), "sk" + secret[2:], refresh_token):
            assert secret_of(text) is None
        for text in ("", "x", with_another_end(refresh_token), "sk" + refresh_token[2:], secret):
            assert refresh_token_of(text) is None
    with django_assert_num_queries(4):  # each also asks whether there is a ring key that this process lacks
        assert secret_of(new_secret("kp", "live")) is None
        assert refresh_token_of(new_secret("kp", REFRESH)) is None
