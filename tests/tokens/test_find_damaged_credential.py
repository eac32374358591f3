"""An operator's search for what is damaged, unknown or gone says in which way it falls short."""

import pytest

from accounts.models import User
from tests.conftest import ORIGIN, MakeKey
from tests.tokens.searches import explain, pair
from tokens.search import NOTHING, search
from tokens.services import TokenResponse
from vault.secret_format import new_secret

__all__ = ["pair"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H24")]


def test_what_resembles_ours_is_told_in_which_way_it_falls_short(make_key: MakeKey, pair: TokenResponse) -> None:
    key, secret = make_key()
    assert (
        explain(secret[:-1])
        == "It begins like a secret of a key and is cut off: 48 of 49 characters follow the prefix."
    )
    assert "cut off: 0 of 49" in explain("kp_live_")
    wrong = secret[:20] + ("a" if secret[20] != "a" else "b") + secret[21:]
    mistyped = search(wrong, origin=ORIGIN)
    assert mistyped.sentence == "It begins like a secret of a key and was mistyped: its checksum is wrong."
    assert [finding.subject for finding in mistyped.findings] == [f"key:{key.pk}"]  # by its last characters
    assert "mistyped: 50 characters follow the prefix instead of 49" in explain(wrong + "a")
    assert "refresh token and is cut off" in explain((pair.refresh_token or "")[:-5])
    assert "well formed but unknown" in explain(new_secret("kp", "live"))
    assert "well formed but unknown" in explain(new_secret("kp", "refresh"))
    token = pair.access_token
    assert explain(token.rpartition(".")[0]).startswith("It begins like a signed token of this portal, and is cut off")
    assert explain(token[:-4] + "AAAA").startswith("It names a signing key of this portal, and its signature is wrong")
    assert explain("eyJhbGciOiJub25lIn0.e30.AAAA").startswith("It has the form of a signed token, but no signing key")
    assert "wrong length" in explain(key.pk[:-1])
    assert explain("hello") == explain("") == explain("Basic YTpi") == NOTHING


def test_of_a_line_with_an_id_and_a_damaged_secret_both_are_told(make_key: MakeKey) -> None:
    key, secret = make_key()
    result = search(f"curl -u {key.pk}:{secret[:-3]} https://portal", origin=ORIGIN)
    assert [finding.subject for finding in result.findings] == [f"key:{key.pk}"]
    assert result.sentence == "The credential next to it is mistyped or cut off."
    assert search(f"{secret} {new_secret('kp', 'live')}", origin=ORIGIN).others is True


def test_a_token_of_somebody_who_is_gone_is_told_as_ours(pair: TokenResponse, developer: User) -> None:
    developer.delete()
    assert (
        explain(pair.access_token)
        == "This portal signed it, but the account or the key that it names no longer exists."
    )
