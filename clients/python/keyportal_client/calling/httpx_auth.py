"""Call an API by httpx: the credential in the header, and refusals that pass waited for."""

from collections.abc import AsyncGenerator, Generator

import httpx

from keyportal_client.caller import FixedCredential
from keyportal_client.calling.access import REFUSALS, ApiAccess, ApiCredential, refused
from keyportal_client.calling.retrying import RENEW, RetryPolicy, SentRequest, Step


class BearerAuth(httpx.Auth):
    """Sends a credential to one API alone. For `httpx.Client` and `httpx.AsyncClient`; thread-safe.

        client = httpx.Client(auth=BearerAuth("https://api.example.com", key=os.environ["API_KEY"]))

    Requests to other hosts go without it, and so do redirects. 429 and 503 are waited for as `retries` says, 401 and
    403 are not. Warns once if the key is about to end.
    """

    def __init__(
        self,
        *apis: str,
        key: str | None = None,
        credential: ApiCredential | None = None,
        retries: RetryPolicy | None = None,
    ) -> None:
        self._access = ApiAccess(apis, key, credential, retries)

    def __repr__(self) -> str:
        return f"<BearerAuth for {self._access.origins}>"

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with the credential, and again where that helps."""
        access = self._access
        if str(request.url) not in access.origins:
            yield request
            return
        call, token = _Call(access, request), access.credential.current()
        while True:
            response = yield call.with_token(token)
            if not call.is_refused(response):
                return
            response.read()
            step = call.after(response)
            if step == RENEW:
                renewed = access.credential.renewed(token)
                if renewed is None:
                    return
                token = renewed
            elif step is None:
                return
            else:
                access.retries.sleep(step)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same without blocking the event loop."""
        access = self._access
        if str(request.url) not in access.origins:
            yield request
            return
        call, token = _Call(access, request), await _current(access)
        while True:
            response = yield call.with_token(token)
            if not call.is_refused(response):
                return
            await response.aread()
            step = call.after(response)
            if step == RENEW:
                renewed = await _renewed(access, token)
                if renewed is None:
                    return
                token = renewed
            elif step is None:
                return
            else:
                await access.retries.sleep_async(step)


class _Call:
    """One request, however often it is sent."""

    def __init__(self, access: ApiAccess, request: httpx.Request) -> None:
        can_replay = isinstance(request.stream, httpx.ByteStream)
        self._access = access
        self._request = request
        self._repetitions = access.begin(SentRequest(request.method, can_replay, "Idempotency-Key" in request.headers))

    def with_token(self, token: str) -> httpx.Request:
        """Return the request with the credential."""
        self._request.headers["Authorization"] = f"Bearer {token}"
        return self._request

    def is_refused(self, response: httpx.Response) -> bool:
        """Return whether to look closer at a response. Those of elsewhere, after a redirect, have no say."""
        if str(response.url) not in self._access.origins:
            return False
        self._access.announcements.heed(response.headers)
        # What a redirect led to says nothing about the request before it, which was carried out.
        is_of_this = (response.request.method, response.request.url) == (self._request.method, self._request.url)
        return is_of_this and response.status_code in REFUSALS

    def after(self, response: httpx.Response) -> Step | None:
        """Return what to do before it is sent again; None for nothing."""
        return self._repetitions.after(refused(response.status_code, response.headers, response.content))


async def _current(access: ApiAccess) -> str:
    credential = access.credential
    return credential.current() if isinstance(credential, FixedCredential) else await credential.current_async()


async def _renewed(access: ApiAccess, token: str) -> str | None:
    credential = access.credential
    return None if isinstance(credential, FixedCredential) else await credential.renewed_async(token)
