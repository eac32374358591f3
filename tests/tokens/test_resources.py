"""What a resource is (RFC 8707 §2): an absolute URI, in the one spelling in which it is compared."""

import pytest

from tokens.resources import is_resource
from vault.claims import MAX_TEXT

pytestmark = pytest.mark.finding("H39")


@pytest.mark.conformance("RI-01")
@pytest.mark.parametrize(
    "text",
    [
        "https://reports.example.com",
        "https://reports.example.com/",
        "https://reports.example.com:8443/v1/all;of=them,%C3%A9?tenant=a&b=/?",
        "http://reports_1:80",
        "https://[2001:db8::1]:8443/",
        "urn:example:reports",
        "api://c0ffee-00/Reports",
        "tag:reports@example.com,2026:1",
        "https://a/" + "x" * (MAX_TEXT - 10),
    ],
)
def test_an_absolute_uri_is_one(text: str) -> None:
    assert is_resource(text)


@pytest.mark.conformance("RI-01")
@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "reports", "/reports", "//reports.example.com", "reports.example.com/v1", "*", "https:"),
        *("https://", "https:///v1", "https://?a", "https:reports", "urn:", ":x", "1a:x"),
        *("https://reports.example.com#", "https://reports.example.com/#all", "urn:example:reports#all"),
        *("https://user@reports.example.com", "https://user:password@reports.example.com/", "ftp://user@host/x"),
        *("HTTPS://reports.example.com", "https://Reports.example.com", "URN:example:reports", "Https://x"),
        *("https://reports.example.com/a b", " https://reports.example.com", "https://reports.example.com\n"),
        *("https://reports.example.com/\0", "https://reports.example.com/é", "https://bücher.example", "https://a/%zz"),
        *("https://reports.example.com:port", "https://a/<x>", 'https://a/"', "https://a\\b", "https://a/\ud800"),
        "https://a/" + "x" * (MAX_TEXT - 9),
    ],
    ids=ascii,
)
def test_any_other_text_is_no_resource(text: str) -> None:
    assert not is_resource(text)
