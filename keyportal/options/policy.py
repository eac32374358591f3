"""Settings of what the portal allows, and for how long."""

from collections.abc import Mapping
from typing import Final

from keyportal.options.kinds import DAY, HOUR, choice, decimal, flag, pattern, rate, whole
from keyportal.options.option import Option

_REFRESHED: Final = whole(HOUR, 365 * DAY, "seconds")
_MINUTE: Final = whole(0, 60, "seconds")
_DAYS: Final = whole(1, 36_500, "days")

GROUPS: Final[Mapping[str, tuple[Option, ...]]] = {
    "Keys": (
        Option(
            "KEYPORTAL_REVEAL",
            choice("reauth", "once"),
            "reauth",
            "`once`: secrets are shown only at creation, and no ciphertext is stored",
            id="E010",
        ),
        Option(
            "KEYPORTAL_BRAND",
            pattern(r"[a-z][a-z0-9]{1,9}", "a-z 0-9", "2 to 10 characters of a-z and 0-9, a letter first"),
            "kp",
            "prefix of secrets, 2 to 10 characters",
            id="E011",
        ),
        Option("KEYPORTAL_MAX_KEYS", whole(1, 100_000), "200", "keys per developer, not counting revoked ones"),
        Option(
            "KEYPORTAL_TOMBSTONE_DAYS",
            _DAYS,
            "400",
            "for how long a revoked secret is still reported as revoked; after that it is unknown",
        ),
    ),
    "Signed tokens": (
        Option(
            "KEYPORTAL_AUDIENCE",
            pattern(r"[!-~]{1,200}", "text", "text of visible ASCII characters without blanks"),
            "",
            "`aud` of access tokens whose clients name no service (docs/tokens.md), and the only one that the portal's "
            "own entry points accept",
            shown="`KEYPORTAL_URL`",
        ),
        Option(
            "KEYPORTAL_PASSWORD_TOKENS", flag(), "true", "whether `POST /api/v1/tokens` issues tokens for a password"
        ),
        # Offline verifiers can't see a revocation; an access token of more than an hour would outlive one for too long.
        Option(
            "KEYPORTAL_ACCESS_LIFETIME", whole(60, HOUR, "seconds"), "600", "lifetime of an access token", id="E030"
        ),
        Option("KEYPORTAL_LEEWAY", _MINUTE, "30", "by how much clocks may differ", id="E030"),
        Option(
            "KEYPORTAL_REFRESH_IDLE", _REFRESHED, "604800", "after which a log-in that is not refreshed ends", id="E030"
        ),
        Option("KEYPORTAL_REFRESH_LIFETIME", _REFRESHED, "2592000", "after which a log-in ends in any case", id="E030"),
        Option(
            "KEYPORTAL_REFRESH_GRACE",
            _MINUTE,
            "0",
            "during which a used refresh token that is sent again is refused without ending its log-in",
            id="E030",
        ),
    ),
    "Accounts and sessions": (
        Option(
            "KEYPORTAL_PASSWORD_LENGTH",
            whole(8, 128, "characters"),
            "15",
            "minimum length of passwords (NIST SP 800-63B-4, where it may be the only factor)",
        ),
        Option("KEYPORTAL_SESSION_IDLE", whole(60, 30 * DAY, "seconds"), "1800", "after which an unused session ends"),
        Option(
            "KEYPORTAL_SESSION_LIFETIME",
            whole(300, 90 * DAY, "seconds"),
            "43200",
            "after which a session ends in any case",
        ),
    ),
    "The audit trail": (
        Option(
            "KEYPORTAL_AUDIT_DAYS",
            whole(0, 36_500, "days"),
            "0",
            "for how long new audit events are kept, from now on; 0: forever",
        ),
        Option(
            "KEYPORTAL_AUDIT_CHAIN",
            flag(),
            "true",
            "whether a worker records every minute which events exist, so that a missing one is detected",
        ),
    ),
    "Limits, usage and memory": (
        Option(
            "KEYPORTAL_RATE_LIMIT",
            rate(),
            "",
            "calls per key, with its tokens, in a moving window. Operators can give a key its own limit in the admin",
            example="5000 per 2 hours",
            id="E022",
        ),
        Option("KEYPORTAL_USAGE_FLUSH", decimal(0.01, HOUR, "seconds"), "5", "between two writes of the counts"),
        Option("KEYPORTAL_USAGE_DAYS", _DAYS, "400", "after which counts and addresses are purged"),
        Option(
            "KEYPORTAL_CACHE_ENTRIES",
            whole(0, 10_000_000, "credentials"),
            "20000",
            "that a worker caches, about 2 KB each",
        ),
    ),
}
