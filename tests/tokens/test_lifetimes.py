"""How long what is issued is good, and what the purge leaves: by a clock that the test moves."""

from datetime import timedelta

import pytest
from django.conf import settings as given
from django.utils import timezone

from accounts import links
from accounts.attempts import AttemptLimit
from accounts.models import AttemptWindow, MailedLink, User
from accounts.services import end_all_tokens
from credentials.record import check_state
from credentials.refusals import RefusedError
from keyportal.purge import purge
from tests.conftest import ORIGIN
from tests.limits import START, Clock, clock
from tokens import services
from tokens.errors import InvalidGrantError
from tokens.models import RefreshToken, TokenFamily
from tokens.services import TokenResponse
from tokens.verification import load, verify

__all__ = ["clock"]  # a fixture

pytestmark = pytest.mark.django_db
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600


@pytest.fixture
def pair(clock: Clock, developer: User) -> TokenResponse:
    return services.issue_to_user(user=developer, scopes=None, agent="", origin=ORIGIN)


def refresh(pair: TokenResponse) -> TokenResponse:
    """Refresh a log-in. Raises `InvalidGrantError` if it is over."""
    return services.refresh(secret=pair.refresh_token or "", scopes=None, client_id=None, origin=ORIGIN)


def is_good(pair: TokenResponse) -> bool:
    try:
        verify(pair.access_token, address=None)
    except RefusedError:
        return False
    return True


def test_an_access_token_lives_for_ten_minutes_and_its_leeway(pair: TokenResponse, clock: Clock) -> None:
    assert pair.expires_in == 10 * MINUTE
    clock.move_to(START + 10 * MINUTE + 29, tick=False)
    assert is_good(pair)
    clock.move_to(START + 10 * MINUTE + 30, tick=False)
    assert not is_good(pair)


def test_a_token_that_is_remembered_expires_all_the_same(pair: TokenResponse, clock: Clock) -> None:
    record = load(pair.access_token, audience=given.KEYPORTAL_AUDIENCE)
    assert record
    clock.move_to(START + 10 * MINUTE + 30, tick=False)
    with pytest.raises(RefusedError, match="expired"):
        check_state(record, at=timezone.now(), address=None)


def test_a_log_in_ends_when_nobody_refreshes_it_for_a_week(pair: TokenResponse, clock: Clock) -> None:
    clock.move_to(START + 7 * DAY - 1, tick=False)
    pair = refresh(pair)
    clock.move_to(START + 14 * DAY - 1, tick=False)
    with pytest.raises(InvalidGrantError):
        refresh(pair)


def test_a_log_in_ends_after_a_month_however_often_it_is_refreshed(pair: TokenResponse, clock: Clock) -> None:
    for day in range(0, 30, 6):
        clock.move_to(START + day * DAY + 1, tick=False)
        pair = refresh(pair)
    clock.move_to(START + 30 * DAY - 1, tick=False)
    pair = refresh(pair)
    clock.move_to(START + 30 * DAY, tick=False)
    with pytest.raises(InvalidGrantError):
        refresh(pair)


def test_the_last_refresh_token_of_a_log_in_ends_with_it(pair: TokenResponse, clock: Clock) -> None:
    TokenFamily.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    family = TokenFamily.objects.get()
    TokenFamily.objects.update(seal=family.make_seal())
    refresh(pair)
    assert RefreshToken.objects.get(used_at=None).expires_at == family.expires_at


def test_a_log_in_is_over_at_its_end_whatever_its_token_says(pair: TokenResponse, clock: Clock) -> None:
    TokenFamily.objects.update(expires_at=timezone.now())
    TokenFamily.objects.update(seal=TokenFamily.objects.get().make_seal())
    assert RefreshToken.objects.get().expires_at > timezone.now()
    with pytest.raises(InvalidGrantError):
        refresh(pair)


def test_a_log_in_from_before_everything_was_ended_is_over(pair: TokenResponse, developer: User) -> None:
    assert is_good(pair)
    end_all_tokens(user=developer, origin=ORIGIN)
    assert not is_good(pair)
    with pytest.raises(InvalidGrantError):
        refresh(pair)
    later = services.issue_to_user(user=User.objects.get(), scopes=None, agent="", origin=ORIGIN)
    assert is_good(later)


def test_reuse_is_forgiven_for_no_moment_unless_somebody_says_so(pair: TokenResponse) -> None:
    assert given.KEYPORTAL_REFRESH_GRACE == 0
    second = refresh(pair)
    for spent in (pair, second):
        with pytest.raises(InvalidGrantError):
            refresh(spent)
    assert TokenFamily.objects.get().ended_at


def test_a_purge_takes_what_is_over_and_gives_nobody_new_attempts(clock: Clock, developer: User) -> None:
    """The database's own time counts, which no test moves: what is over was made long ago by it."""
    limit = AttemptLimit("events of a test", fixed="1 per hour")
    for whose, moment in (("over", START - 400 * DAY), ("guesser", timezone.now().timestamp() + 400 * DAY)):
        clock.move_to(moment, tick=False)
        assert limit.hit(whose) == 0
        links.issue(links.RESET, user=developer, email=f"{whose}@example.com")
    assert (AttemptWindow.objects.count(), MailedLink.objects.count()) == (2, 2)
    removed = purge(by="test")
    assert (removed["attempts"], removed["links in messages"]) == (1, 1)
    assert MailedLink.objects.get().email == "guesser@example.com"
    assert limit.hit("guesser") > 0
