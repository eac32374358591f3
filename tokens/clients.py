"""OAuth clients (RFC 6749 §2.3). Each is an API key: `client_id` is the key's id, `client_secret` its secret."""

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_plus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from accounts.attempts import AttemptLimit
from accounts.places import address_bucket
from apikeys.verification import verify
from audit.client_address import parse_address
from credentials.admission import Admission, note_verified
from credentials.record import VerifiedRecord
from credentials.refusals import RefusedError
from tokens.basic import basic_credentials
from tokens.client_failures import WRONG_SECRET, record_failed_client

ENTRY_POINT: Final = "oauth"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
UNKNOWN: Final = "The client is unknown, or its secret is wrong."
CHALLENGE: Final = 'Basic realm="keyportal", charset="UTF-8"'
FAILURES_OF_CLIENT: Final = AttemptLimit("KEYPORTAL_LIMIT_CLIENT", "Too many wrong secrets for this client.")
FAILURES_OF_ADDRESS: Final = AttemptLimit("KEYPORTAL_LIMIT_CLIENT_ADDRESS", "Too many wrong client secrets.")

Form = Mapping[str, str]
Handler = Callable[[HttpRequest, Form], dict[str, object]]


class OAuthError(Exception):
    """An error of RFC 6749 §5.2. The description helps the client's developer and repeats nothing that was sent."""

    def __init__(
        self, error: str, description: str, *, status: int = 400, retry_after: int = 0, challenge: str = ""
    ) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status
        self.retry_after = retry_after
        self.challenge = challenge or (CHALLENGE if error == "invalid_client" else "")

    def response(self) -> HttpResponse:
        """Return the error response."""
        response = _json_response({"error": self.error, "error_description": self.description}, self.status)
        if self.challenge:
            response["WWW-Authenticate"] = self.challenge
        if self.status == HTTPStatus.METHOD_NOT_ALLOWED:
            response["Allow"] = "POST"
        if self.retry_after:
            response["Retry-After"] = str(self.retry_after)
        return response


def oauth_endpoint(handler: Handler) -> Callable[[HttpRequest], HttpResponse]:
    """Return a view of a function from a form to a JSON object: POST only, no session, no CSRF check, never stored."""

    @csrf_exempt
    @sensitive_post_parameters()
    @sensitive_variables("form")
    @wraps(handler)
    def view(request: HttpRequest) -> HttpResponse:
        try:
            return _json_response(handler(request, _form(request)))
        except OAuthError as error:
            return error.response()

    return view


def authenticate_client(request: HttpRequest, form: Form, *, limited: bool = True) -> VerifiedRecord:
    """Return the key that the client authenticated as, by Basic or in the form. Raises `OAuthError`.

    `limited`: whether the request counts against the key's rate limit.
    """
    sent = client_credentials(request, form)
    if sent is None:
        raise OAuthError("invalid_client", "Send the key's id and secret with HTTP Basic.", status=401)
    client_id, secret = sent
    address = request.META.get("REMOTE_ADDR", "")
    peer = parse_address(address)
    bucket = address_bucket(address)
    failures = ((FAILURES_OF_CLIENT, f"{client_id} {bucket}"), (FAILURES_OF_ADDRESS, bucket))
    wait = max(limit.retry_after(key) for limit, key in failures)
    if wait:
        raise too_many(wait)
    try:
        with Admission(ENTRY_POINT, peer) as admission:
            client = verify(secret, address=peer)
            admission.accept(client, limited=limited)
    except RefusedError as error:
        if error.refusal.retry_after:
            raise too_many(error.refusal.retry_after) from None
        reason = error.refusal.reason.title if error.refusal.about else UNKNOWN  # a genuine one is told why
        known, code = None, error.refusal.code if error.refusal.counted_as == client_id else WRONG_SECRET
    else:
        reason, code, known = UNKNOWN, WRONG_SECRET, client if client.credential.id == client_id else None
    if known is None:
        wait = max([limit.hit(key) for limit, key in failures])
        record_failed_client(request, client_id, code)
        # Concurrent requests can all pass the check above before one is counted; only as many as the limit get this
        # response.
        raise too_many(wait) if wait else OAuthError("invalid_client", reason, status=401)
    note_verified(request, known)
    return known


def client_credentials(request: HttpRequest, form: Form) -> tuple[str, str] | None:
    """Return client_id and client_secret from the header or the form; None without a secret. Raises `OAuthError`."""
    if request.GET.keys() & {"client_id", "client_secret", "token", "refresh_token"}:
        raise OAuthError("invalid_request", "Send credentials in the header or the body, never in the address.")
    header = request.META.get("HTTP_AUTHORIZATION")
    if header is None:
        return (form.get("client_id", ""), form["client_secret"]) if "client_secret" in form else None
    try:
        sent = basic_credentials(header)
    except RefusedError:
        sent = None
    if sent is None:
        raise OAuthError("invalid_client", "The Authorization header is not valid HTTP Basic.", status=401)
    client_id, secret = map(unquote_plus, sent)  # RFC 6749 §2.3.1 encodes them first
    if "client_secret" in form or form.get("client_id", client_id) != client_id:
        raise OAuthError("invalid_request", "Authenticate in the header or in the body, not in both.")
    return client_id, secret


def too_many(wait: int) -> OAuthError:
    """Return the error for an exhausted limit; `wait` is in seconds."""
    return OAuthError("temporarily_unavailable", "Too many requests.", status=429, retry_after=wait)


def _form(request: HttpRequest) -> Form:
    """Return the parameters: form-encoded, none repeated (RFC 6749 §3.2), without those that are empty.

    Raises `OAuthError`.
    """
    if request.method != "POST":
        raise OAuthError("invalid_request", "Use POST.", status=405)
    if request.content_type != FORM_TYPE:
        raise OAuthError("invalid_request", f"Send the parameters as {FORM_TYPE}.")
    for name, values in request.POST.lists():
        if len(values) > 1:
            # RFC 8707 §2 lets a client name several resources, and lets a server accept only one.
            error = "invalid_target" if name == "resource" else "invalid_request"
            raise OAuthError(error, "A parameter was sent more than once.")
    return {name: value for name, value in request.POST.items() if isinstance(value, str) and value}


def _json_response(body: dict[str, object], status: int = 200) -> HttpResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})
