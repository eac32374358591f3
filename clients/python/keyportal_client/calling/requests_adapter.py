"""Call an API by requests: the credential in the header, and refusals that pass waited for. The extra `requests`."""

from typing import Any, Final, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from keyportal_client.calling.access import REFUSALS, ApiAccess, ApiCredential, refused
from keyportal_client.calling.retrying import RENEW, RetryPolicy, SentRequest

RECONNECTS: Final = 4
"""How often a lost connection is repeated at most: urllib3 bounds no sum of its waits."""
AnySession = TypeVar("AnySession", bound=requests.Session)


class BearerAdapter(HTTPAdapter):
    """Sends a credential to one API alone. Thread-safe as far as sessions of requests are.

        adapter = BearerAdapter("https://api.example.com", key=os.environ["API_KEY"])
        session = adapter.mount_on(requests.Session())

    The session itself never has the credential, so no redirect takes it elsewhere. 429 and 503 are waited for as
    `retries` says, and so are lost connections; 401 and 403 are not. Warns once if the key is about to end.
    """

    def __init__(
        self,
        *apis: str,
        key: str | None = None,
        credential: ApiCredential | None = None,
        retries: RetryPolicy | None = None,
    ) -> None:
        self._access = ApiAccess(apis, key, credential, retries)
        self._apis = apis
        super().__init__(max_retries=_reconnecting(self._access.retries))

    def __repr__(self) -> str:
        return f"<BearerAdapter for {self._access.origins}>"

    def mount_on(self, session: AnySession) -> AnySession:
        """Have a session send requests to the API through this; return the session."""
        for api in self._apis:
            session.mount(api, self)
        return session

    def send(self, request: requests.PreparedRequest, *args: Any, **how: Any) -> requests.Response:
        """Send the request with the credential, and again where that helps."""
        access = self._access
        if (request.url or "") not in access.origins:
            return super().send(request, *args, **how)
        repetitions, token = access.begin(_facts(request)), access.credential.current()
        while True:
            response = super().send(_with_token(request, token), *args, **how)
            response.request = request
            access.announcements.heed(response.headers)
            if response.status_code not in REFUSALS:
                return response
            step = repetitions.after(refused(response.status_code, response.headers, response.content))
            renewed = access.credential.renewed(token) if step == RENEW else None
            if renewed is not None:
                token = renewed
            elif step is None or step == RENEW:
                return response
            else:
                access.retries.sleep(step)


def _reconnecting(retries: RetryPolicy) -> Retry:
    """Return how urllib3 repeats what found no connection, or lost it; the latter only if that does no harm."""
    return Retry(
        total=min(retries.repeats, RECONNECTS),
        status=0,
        other=0,
        backoff_factor=retries.first_pause,
        backoff_jitter=retries.first_pause,
        respect_retry_after_header=False,
    )


def _with_token(request: requests.PreparedRequest, token: str) -> requests.PreparedRequest:
    """Return a copy with the credential: what a redirect is made from must not have it."""
    copy = request.copy()
    copy.headers["Authorization"] = f"Bearer {token}"
    return copy


def _facts(request: requests.PreparedRequest) -> SentRequest:
    can_replay = request.body is None or isinstance(request.body, (str, bytes))
    return SentRequest(request.method or "", can_replay, "Idempotency-Key" in request.headers)
