"""Odd values, bytes and names, for every place where something may be sent."""

from typing import Any, Final

MARK: Final = "kpZmarkZ4711"
"""Stands in every value that has room for it."""
AFTER: Final = ("", "\0", "\ud800", "\udfff\ud800", "\u202e", "🔑", "\r\nX-Injected: 1", "'\"<script>", "%s{0}${x}")
BEFORE: Final = (" ", "\t", "kp_live_", "key_", "a.b.", "x" * 9000, "😀" * 3000, "-1", "[", "//")
VALUES: Final[list[Any]] = [
    *(f"{MARK}{text}" for text in AFTER),
    *(f"{text}{MARK}" for text in BEFORE),
    "",
    "\0",
    [MARK],
    {MARK: MARK},
    [[[[{MARK: [MARK]}]]]],
    [MARK] * 300,
    None,
    True,
    0,
    -1,
    10**400,
    1e308,
]
"""Of a member, as JSON has them."""
BYTES: Final = [
    *(f"{MARK}{text}".encode() for text in ("", " ", "é", "🔑", ",", ";q=", '"', "\\", "=", "(", "x" * 7000)),
    *(
        bytes([byte]) + MARK.encode() + bytes([byte])
        for byte in (0, 1, 8, 9, 10, 11, 13, 27, 0x7F, 0x80, 0x9F, 0xC0, 0xFF)
    ),
    MARK.encode() + b"\xff\xfe\xc0\xaf\xed\xa0\x80",
    b"",
    b",",
    b"9" * 5000,
    b"-1",
]
"""Of a header, a path, a query or a body."""
HEADERS: Final = (
    *("Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Authorization", "Connection", "Cookie"),
    *("Content-Encoding", "Content-Length", "Content-Type", "Expect", "Forwarded", "Host", "If-Match", "If-None-Match"),
    *("If-Modified-Since", "If-Range", "Origin", "Range", "Referer", "TE", "Traceparent", "Transfer-Encoding"),
    *("Upgrade", "User-Agent", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-ID"),
    *("X-HTTP-Method-Override", "X-Requested-With", "X_Forwarded_For", "X.Odd", "Idempotency-Key"),
)


def misspelt(member: str) -> tuple[str, ...]:
    """Return misspellings of this name, and some names that are too far from it."""
    return (member.title(), member[:-1], f"{member}s", f" {member}", f"{member}\0", f"{MARK}{member}", "\ud800")
