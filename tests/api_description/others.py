"""The operations on signed tokens, and the check of credentials."""

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers

from gateway.verification_request import ENVIRONMENTS, MAX_CREDENTIAL, MAX_SCOPE_LENGTH, MAX_SCOPES
from tests.api_description import shapes
from tests.api_description.keys import described
from tokens.authentication import PasswordAuthentication
from tokens.serializers import LogInSerializer, RefreshSerializer

TAGS = ["Signed tokens"]


class Question(serializers.Serializer[object]):
    """A credential that a service received, and what it needs."""

    credential = serializers.CharField(
        max_length=MAX_CREDENTIAL, help_text="The API key or access token that the service received."
    )
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=MAX_SCOPE_LENGTH),
        max_length=MAX_SCOPES,
        required=False,
        help_text="All that it must have.",
    )
    environment = serializers.ChoiceField(
        choices=ENVIRONMENTS, required=False, help_text="The environment that it must be of."
    )
    audience = serializers.CharField(required=False, help_text="The service that a token must be for.")
    client_ip = serializers.IPAddressField(required=False, help_text="Where the credential came from.")


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
described(
    "gateway.api.VerifyView",
    post=extend_schema(
        tags=["For services"],
        operation_id="verify",
        summary="Verify a credential",
        description="Says whether a credential that a service received is good. Needs the scope `credentials:verify`.",
        request=Question,
        responses={200: shapes.Verdict},
        examples=[
            OpenApiExample(
                "For one scope", request_only=True, value={"credential": "kp_live_…", "scopes": ["reports:read"]}
            )
        ],
    ),
)
