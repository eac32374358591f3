"""The operations on signed tokens."""

from drf_spectacular.utils import OpenApiExample, extend_schema

from tests.api_description import shapes
from tests.api_description.keys import described
from tokens.authentication import PasswordAuthentication
from tokens.serializers import LogInSerializer, RefreshSerializer

TAGS = ["Signed tokens"]


described(
    "tokens.api.TokensView",
    {"get_authenticators": lambda self: [PasswordAuthentication()]},
    post=extend_schema(
        tags=TAGS,
        operation_id="log_in",
        summary="Log in",
        description=(
            "Returns an access and a refresh token for an e-mail address and a password, sent by HTTP Basic. Without "
            "`scope` the token has every scope that developers can take, except `keys:…` and `self:rotate`. An "
            "account with a second factor uses an API key instead."
        ),
        request=LogInSerializer,
        responses={200: shapes.Tokens},
        examples=[OpenApiExample("To manage keys", request_only=True, value={"scope": "keys:read keys:write"})],
    ),
    delete=extend_schema(
        tags=TAGS,
        operation_id="end_credential",
        summary="End your own credential",
        description="Ends the credential that you send: a token with its whole log-in; an API key is revoked.",
        responses={204: None},
    ),
)
described(
    "tokens.api.RefreshView",
    post=extend_schema(
        tags=TAGS,
        operation_id="refresh",
        summary="Refresh",
        description="Returns the next pair of tokens. A refresh token that is used twice ends its whole log-in.",
        request=RefreshSerializer,
        responses={200: shapes.Tokens},
        examples=[OpenApiExample("The next pair", request_only=True, value={"refresh_token": "eyJ…"})],
    ),
)
