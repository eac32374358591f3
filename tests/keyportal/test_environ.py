"""What Django reads of a request: no name that could stand for two, and nothing that has been read before."""

import pytest

from audit.client_address import parse_address
from keyportal.http_server.content_type import readable
from keyportal.http_server.environ import PEER, REQUEST_ID, environ_of
from keyportal.http_server.request import Request, UnreadableError

pytestmark = [pytest.mark.once, pytest.mark.finding("H2")]


def environ(*headers: tuple[bytes, bytes]) -> dict[str, object]:
    request = Request(parse_address("192.0.2.1"), is_trusted=False, scheme="http")
    request.method, request.version, request.headers = "GET", "1.0", list(headers)
    request.set_target(b"/a%2Fb%FF?c=%C3%A9")
    return environ_of(request, request.sender())


def test_a_request_is_told_as_pep_3333_wants_it() -> None:
    variables = environ(
        (b"host", b"portal.test"), (b"content-type", b"text/plain"), (b"accept", b"a"), (b"accept", b"b")
    )
    assert (variables["PATH_INFO"], variables["QUERY_STRING"]) == ("/a/b\xff", "c=%C3%A9")
    assert (variables["HTTP_HOST"], variables["CONTENT_TYPE"], variables["HTTP_ACCEPT"]) == (
        "portal.test",
        "text/plain",
        "a,b",
    )
    assert (variables["REMOTE_ADDR"], variables[PEER], variables["CONTENT_LENGTH"]) == ("192.0.2.1", "192.0.2.1", "0")
    assert variables[REQUEST_ID]


def test_cookies_of_several_lines_are_all_there_whatever_their_bytes() -> None:
    assert environ((b"cookie", b"a=1"), (b"cookie", b"b=\xc3\xa9"))["HTTP_COOKIE"] == "a=1; b=\xc3\xa9"


@pytest.mark.parametrize("between", list("_.!~+^|'*`%&#$"))
def test_a_name_that_could_pass_for_another_is_left_out(between: str) -> None:
    names = ("content-type", "content-length", "x-forwarded-for", "authorization-", "x-csrftoken-", "remote-addr")
    variables = environ(*((name.replace("-", between).encode(), b"forged") for name in names))
    assert "forged" not in variables.values()


@pytest.mark.parametrize(
    "name",
    ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Request-ID"],
)
def test_what_was_read_before_is_not_read_again(name: str) -> None:
    assert "read" not in environ((name.lower().encode(), b"read")).values()


@pytest.mark.parametrize("name", [b"host", b"content-type"])
def test_what_is_nonsense_twice_is_named(name: bytes) -> None:
    with pytest.raises(UnreadableError) as raised:
        environ((name, b"a"), (name, b"a"))
    assert name.decode().title() in raised.value.detail


@pytest.mark.finding("H20")
def test_a_form_in_another_charset_is_read_in_it() -> None:
    latin = "application/x-www-form-urlencoded; charset=ISO-8859-1"
    plain = "application/x-www-form-urlencoded"
    assert readable(latin, b"login=caf%E9%40example.com&a=") == (plain, b"login=caf%C3%A9%40example.com&a=")
    assert readable(latin, b"a=\xe9+b") == (plain, b"a=%C3%A9+b")
    assert readable(f"{plain}; charset=windows-1252", b"a=%80") == (plain, b"a=%E2%82%AC")
    assert readable(f"{plain}; charset=utf-8", b"a=%E9") == (plain, b"a=%E9")
    assert readable("Multipart/Form-Data; charset=latin1; boundary=x; name*=y", b"-") == (
        'multipart/form-data; boundary="x"; charset=iso-8859-1',
        b"-",
    )
    for much in (b"x" * 9000, b"a&" * 1000):
        with pytest.raises(UnreadableError):
            readable(latin, much)


@pytest.mark.finding("H10")
@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary=a"b; boundary="x; name*=kp_live_PASTED\'en\'%41"',
        "multipart/form-data; boundary=a; boundary=b",
        'multipart/form-data; boundary="a;b"',
        f"multipart/form-data; boundary={'x' * 71}",
        "multipart/form-data; boundary=\xe9",
    ],
)
def test_a_boundary_that_could_be_read_as_something_else_is_400(content_type: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        readable(content_type, b"-")
    assert "PASTED" not in raised.value.detail


def test_a_media_type_that_is_none_is_left_out() -> None:
    assert readable("a\"b; name*=x'y'z", b"")[0] == ""
    assert readable("application/json", b"{}")[0] == "application/json"


def test_a_name_of_any_length_is_left_out_and_not_remembered() -> None:
    assert "x" not in environ((b"a" * 200, b"x")).values()
