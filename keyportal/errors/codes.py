"""Every code of the API's errors, with its status, title and advice. The pages under /docs/errors/ are made from it."""

from collections.abc import Mapping
from typing import Final

from credentials.refusals import REASONS, Reason

FRAMEWORK: Final[Mapping[str, Reason]] = {
    "bad_request": Reason(400, "The request can't be understood", "Check the address, the headers and the body."),
    "malformed_body": Reason(
        400, "The body is not valid JSON", "Send one JSON object, in UTF-8, with each member once."
    ),
    "validation": Reason(
        400, "Some fields are invalid", "Each entry in “errors” points to a field and says what is wrong."
    ),
    "permission_denied": Reason(403, "This is not allowed", "Contact this portal's operators."),
    "https_required": Reason(
        403,
        "This portal does not accept credentials over plain http",
        "Send the request again over https. If it held a credential, replace that credential: it crossed the network "
        "unencrypted. The portal's operators can allow plain http for their own networks.",
    ),
    "not_found": Reason(404, "There is nothing here", "Check the address and the id."),
    "method_not_allowed": Reason(
        405, "This address does not support that method", "The Allow header lists the methods that it supports."
    ),
    "not_acceptable": Reason(
        406, "Only JSON is available here", "Send “Accept: application/json”, or no Accept header."
    ),
    "request_timeout": Reason(408, "The request did not arrive in time", "Send it again without pauses."),
    "conflict": Reason(
        409,
        "Something else changed this at the same time",
        "Check its current state, then decide whether to try again.",
    ),
    "rotating": Reason(
        409,
        "This key is being rotated",
        "Wait for the overlap to end, or end it first. After a leak, rotate with an overlap of 0.",
    ),
    "key_ended": Reason(
        409, "This key has ended", "A revoked key stays revoked. An expired one needs a later expiry first."
    ),
    "limit_reached": Reason(409, "There are too many keys", "Revoke a key that you no longer need, then try again."),
    "idempotency_running": Reason(
        409,
        "The first call with this Idempotency-Key is still running",
        "Wait a moment, then send the same call again.",
    ),
    "answer_destroyed": Reason(
        409,
        "The answer to this call is no longer kept",
        "The call was carried out before. Its answer held a secret that was since replaced, revoked or used.",
    ),
    "issuing_suspended": Reason(
        503,
        "This portal issues no new credentials at the moment",
        "Keep what you have: existing keys and tokens still work, and a refresh token was not used up. Try again "
        "later. “detail” says why.",
    ),
    "gone": Reason(410, "This no longer exists", "Remove this address from your configuration."),
    "changed_meanwhile": Reason(
        412, "This key was changed in the meantime", "Read it again, and send the ETag of that answer as If-Match."
    ),
    "too_large": Reason(413, "The request is too large", "Send less than 64 KiB."),
    "address_too_long": Reason(414, "The address is too long", "Send long values in the body."),
    "unsupported_media_type": Reason(415, "Only JSON is accepted here", "Send “Content-Type: application/json”."),
    "idempotency_mismatch": Reason(
        422,
        "This Idempotency-Key was sent with another call",
        "Choose a new Idempotency-Key for each call. Repeat a call with exactly the same address and body.",
    ),
    "headers_too_large": Reason(431, "The headers are too large", "Send fewer and shorter headers, cookies included."),
    "internal_error": Reason(
        500, "Something went wrong in the portal", "The portal's log has the details under this request's id."
    ),
}
CODES: Final[Mapping[str, Reason]] = {**REASONS, **FRAMEWORK}
