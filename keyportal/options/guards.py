"""Settings that bound guesses, log-ins and messages: how often one address, account or client may try."""

from collections.abc import Mapping
from typing import Final

from keyportal.options.kinds import rate
from keyportal.options.option import Option

GROUPS: Final[Mapping[str, tuple[Option, ...]]] = {
    "Attempts": (
        Option(
            "KEYPORTAL_LIMIT_LOGIN_ADDRESS",
            rate(),
            "30 per 5 minutes",
            "failed log-ins from one address (IPv6: from one /64)",
        ),
        Option(
            "KEYPORTAL_LIMIT_LOGIN_PLACE", rate(), "10 per 5 minutes", "failed log-ins to one account from one place"
        ),
        Option(
            "KEYPORTAL_LIMIT_LOGIN_ACCOUNT",
            rate(),
            "20 per hour",
            "failed log-ins to one account from places where it was never used; above, each waits twice as long as the "
            "one before, up to 15 minutes",
        ),
        Option("KEYPORTAL_LIMIT_CODE_PLACE", rate(), "10 per 5 minutes", "wrong codes for one account from one place"),
        Option(
            "KEYPORTAL_LIMIT_CODE_ACCOUNT",
            rate(),
            "20 per hour",
            "wrong codes for one account from places where it was never used; above, they wait as log-ins do",
        ),
        Option("KEYPORTAL_LIMIT_SIGNUP", rate(), "20 per hour", "accounts made from one address"),
        Option("KEYPORTAL_LIMIT_MAIL_FROM", rate(), "30 per hour", "messages with links asked for from one address"),
        Option("KEYPORTAL_LIMIT_MAIL_TO", rate(), "5 per hour", "messages with links sent to one mailbox"),
        Option("KEYPORTAL_LIMIT_TOKENS", rate(), "120 per hour", "log-ins of one account at `POST /api/v1/tokens`"),
        Option(
            "KEYPORTAL_LIMIT_CLIENT",
            rate(),
            "20 per 5 minutes",
            "wrong secrets for one OAuth client from one address",
        ),
        Option(
            "KEYPORTAL_LIMIT_CLIENT_ADDRESS",
            rate(),
            "300 per 5 minutes",
            "wrong secrets for OAuth clients from one address in all",
        ),
        Option("KEYPORTAL_LIMIT_REVOCATIONS", rate(), "300 per minute", "revocations by one client"),
        Option("KEYPORTAL_LIMIT_MISSES", rate(), "100 per minute", "unknown credentials that one service asks about"),
    ),
}
