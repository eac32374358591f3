"""No secret of a caller is in an error, or in the variables of its frames, which error reporters collect."""

import base64
import traceback
from collections.abc import Callable
from typing import Any, Final

import pytest

from keyportal_client import caller, log_in
from keyportal_client.address import PortalAddress
from keyportal_client.api import Client
from keyportal_client.caller import FixedCredential
from keyportal_client.calling import ClientCredentials, LoginTokens
from keyportal_client.errors import KeyportalError
from keyportal_client.transport import Transport
from tests.clients.stub import KEY, Received, Reply, problem, serving

pytestmark = pytest.mark.once

EMAIL, PASSWORD = "a@example.com", "planted-password"
ACCESS, REFRESH = "planted-access-token", "planted-refresh-token"
SECRETS: Final = (
    *(KEY, PASSWORD, ACCESS, REFRESH),
    *(base64.b64encode(f"{name}:{secret}".encode()).decode() for name, secret in ((EMAIL, PASSWORD), ("key_1", KEY))),
)


def logged_in(portal: str, *, expires_in: float = 600) -> LoginTokens:
    login = LoginTokens(portal)
    login.adopt(access_token=ACCESS, refresh_token=REFRESH, expires_in=expires_in)
    return login


def transport(portal: str) -> Transport:
    return Transport(PortalAddress.parse(portal))


CALLS: Final[dict[str, Callable[[str], object]]] = {
    "a token for a key": lambda portal: ClientCredentials(portal, KEY).current(),
    "a refreshed token": lambda portal: logged_in(portal, expires_in=0).current(),
    "a token after a log-in": lambda portal: LoginTokens(portal).log_in(EMAIL, PASSWORD),
    "a log-in of nobody": lambda portal: LoginTokens(portal).log_in("a:b", PASSWORD),
    "a log-out": lambda portal: logged_in(portal).log_out(),
    "a call with a key": lambda portal: Client(portal, FixedCredential(KEY)).me(),
    "a log-in": lambda portal: log_in.log_in(transport(portal), email=EMAIL, password=PASSWORD),
    "a log-in with odd characters": lambda portal: log_in.log_in(
        transport(portal), email=EMAIL, password=f"{PASSWORD}\n"
    ),
    "a refresh": lambda portal: log_in.refresh(transport(portal), REFRESH),
    "the end of a log-in": lambda portal: log_in.end_log_in(transport(portal), ACCESS),
}


def seen(error: BaseException | None) -> list[str]:
    """Return what an error reporter may show of an error and those before it, in the frames of the client."""
    if error is None:
        return []
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours: list[Any] = [frame for frame in frames if "keyportal_client" in frame.f_code.co_filename]
    shown = [f"{frame.f_code.co_name} {name}={value!r}" for frame in ours for name, value in frame.f_locals.items()]
    return [*shown, f"{error!r} {vars(error)}", *seen(error.__cause__ or error.__context__)]


@pytest.mark.parametrize("reply", [Reply(0), problem(400, "invalid_grant"), problem(503, "unavailable")])
@pytest.mark.parametrize("call", CALLS)
def test_what_a_call_raises_shows_no_secret(call: str, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "PAUSES", ())

    def answer(request: Received) -> Reply:
        return reply

    with serving(answer) as stub, pytest.raises(KeyportalError) as caught:
        CALLS[call](stub.url)
    shown = seen(caught.value)
    assert len(shown) > 1
    assert [line for line in shown if any(secret in line for secret in SECRETS)] == []
