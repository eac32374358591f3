"""The page that says how long to wait after too many attempts."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.test import RequestFactory

from accounts.attempts import TooManyAttemptsError
from accounts.error_pages import AccountErrorsMiddleware


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (61, "2 minutes"),
        (120, "2 minutes"),
        (3600, "60 minutes"),
    ],
)
def test_the_page_says_how_long_to_wait(rf: RequestFactory, seconds: int, words: str) -> None:
    request = rf.get("/accounts/login/")
    request.user = AnonymousUser()
    above = TooManyAttemptsError("Too many attempts.", seconds)
    answer = AccountErrorsMiddleware(lambda _: HttpResponse()).process_exception(request, above)
    assert answer is not None
    assert f"Too many attempts. Try again in {words}. Your keys" in answer.content.decode()
    assert answer["Retry-After"] == str(seconds)
