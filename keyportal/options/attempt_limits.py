"""Settings that limit guesses, log-ins and e-mails: how often one address, account or client may try."""

from collections.abc import Mapping
from typing import Final

from keyportal.options.kinds import rate
from keyportal.options.option import Option


def _limit(name: str, default: str, meaning: str) -> Option:
    return Option(f"KEYPORTAL_LIMIT_{name}", rate(), default, meaning, id="E022")


GROUPS: Final[Mapping[str, tuple[Option, ...]]] = {
    "Attempts": (
        _limit("LOGIN_ADDRESS", "30 per 5 minutes", "failed log-ins from one address (IPv6: from one /64)"),
        _limit("LOGIN_PLACE", "10 per 5 minutes", "failed log-ins to one account from one place"),
        _limit(
            "LOGIN_ACCOUNT",
            "20 per hour",
            "failed log-ins to one account from places where it was never used; beyond that, each waits twice as long "
            "as the one before, up to 15 minutes",
        ),
        _limit("CODE_PLACE", "10 per 5 minutes", "wrong codes for one account from one place"),
        _limit(
            "CODE_ACCOUNT",
            "20 per hour",
            "wrong codes for one account from places where it was never used; beyond that, they wait as log-ins do",
        ),
        _limit(
            "PASSKEY",
            "300 per 5 minutes",
            "requests from one address to log in with a passkey alone; each log-in makes two",
        ),
        _limit("SIGNUP", "20 per hour", "accounts created from one address"),
        _limit("MAIL_FROM", "30 per hour", "messages with links requested from one address"),
        _limit(
            "MAIL_TO",
            "5 per hour",
            "messages with links sent to one mailbox for one purpose",
        ),
        _limit("TOKENS", "120 per hour", "log-ins of one account at `POST /api/v1/tokens`, and tokens to try calls"),
        _limit("CLIENT", "20 per 5 minutes", "wrong secrets for one OAuth client from one address"),
        _limit("CLIENT_ADDRESS", "300 per 5 minutes", "wrong secrets for OAuth clients from one address in total"),
        _limit("REVOCATIONS", "300 per minute", "revocations by one client"),
        _limit(
            "MISSES",
            "100 per minute",
            "unknown credentials that one service sends; beyond that, only known ones are checked for it",
        ),
        _limit("SERVICE", "600000 per minute", "requests of one service to check credentials, per worker"),
    ),
}
