"""The operations for services that check credentials."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers

from gateway.usage_request import MAX_ADDRESSES, MAX_CALLS, MAX_COUNT, OUTCOMES
from gateway.verification_request import ENVIRONMENTS, MAX_CREDENTIAL, MAX_CREDENTIALS, MAX_SCOPE_LENGTH, MAX_SCOPES
from tests.api_description import shapes
from tests.api_description.keys import described

TAGS = ["For services"]
NEEDS = "Needs the scope `credentials:verify`."


class Question(serializers.Serializer[object]):
    """Credentials that a service received, and what they need."""

    credential = serializers.CharField(
        max_length=MAX_CREDENTIAL, required=False, help_text="The API key or access token that the service received."
    )
    credentials = serializers.ListField(
        child=serializers.CharField(max_length=MAX_CREDENTIAL),
        min_length=1,
        max_length=MAX_CREDENTIALS,
        required=False,
        help_text="Several of them, instead of one.",
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
    record = serializers.BooleanField(
        required=False, help_text="`true` for the record, if you judge the next calls yourself."
    )
    assertion = serializers.CharField(
        required=False, help_text="The service that a signed identity is for, if you want one."
    )


class JudgedCalls(serializers.Serializer[object]):
    """Calls of one hour with one outcome."""

    credential = serializers.CharField(help_text="`key_…`, also for its tokens; `usr_…` for those of a log-in.")
    secret = serializers.CharField(required=False, help_text="The key's secret that was sent: `sec_…`.")
    entry_point = serializers.RegexField("^[a-z][a-z0-9_]{0,15}$", help_text="Which service it was.")
    outcome = serializers.ChoiceField(choices=sorted(OUTCOMES))
    hour = serializers.DateTimeField(help_text="The first moment of the hour, at most 23 hours ago.")
    count = serializers.IntegerField(min_value=1, max_value=MAX_COUNT)
    addresses = serializers.ListField(
        child=serializers.IPAddressField(),
        max_length=MAX_ADDRESSES,
        required=False,
        help_text="Where the calls came from. With one address they are counted for it.",
    )


class Batch(serializers.Serializer[object]):
    """Calls that a service judged itself."""

    batch = serializers.RegexField("^[0-9A-Za-z_-]{16,64}$", help_text="Random. The same batch again changes nothing.")
    calls = serializers.ListField(
        child=JudgedCalls(),
        min_length=1,
        max_length=MAX_CALLS,
        help_text="Calls that agree in everything but the count are one entry.",
    )


described(
    "gateway.api.VerifyView",
    post=extend_schema(
        tags=TAGS,
        operation_id="verify",
        summary="Verify credentials",
        description=(
            f"Says whether credentials that a service received are good. {NEEDS} Send `credential`, or `credentials`: "
            "the answer then has `results` in their order."
        ),
        request=Question,
        responses={200: shapes.Verdict},
        examples=[
            OpenApiExample(
                "For one scope", request_only=True, value={"credential": "kp_live_…", "scopes": ["reports:read"]}
            )
        ],
    ),
)
described(
    "gateway.api.ChangesView",
    get=extend_schema(
        tags=TAGS,
        operation_id="changes",
        summary="Ask what has changed",
        description=(
            f"Says which of the records that you keep to forget, and up to when you may judge by the others. {NEEDS} "
            "`docs/change-feed.md` of the portal has the protocol."
        ),
        parameters=[
            OpenApiParameter(
                "since", OpenApiTypes.STR, description="The cursor of your last answer. Leave it out the first time."
            )
        ],
        responses={200: shapes.Changes},
    ),
)
described(
    "gateway.api.UsageView",
    post=extend_schema(
        tags=TAGS,
        operation_id="usage",
        summary="Report calls",
        description=f"Stores the counts of calls that you judged yourself. {NEEDS}",
        request=Batch,
        responses={202: shapes.StoredBatch},
        examples=[
            OpenApiExample(
                "The calls of one key",
                request_only=True,
                value={
                    "batch": "Zr0cJ3vV1Qk7mX5t",
                    "calls": [
                        {
                            "credential": "key_…",
                            "secret": "sec_…",
                            "entry_point": "reports",
                            "outcome": "accepted",
                            "hour": "2026-02-03T12:00:00Z",
                            "count": 412,
                            "addresses": ["192.0.2.7"],
                        }
                    ],
                },
            )
        ],
    ),
)
