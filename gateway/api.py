"""API v1 of the gateway: a service in any language asks about a credential that was shown to it."""

from typing import Any, Final, cast

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.serializers import CredentialSerializer
from apikeys.verification import KeyRecord
from credentials.admission import admit
from credentials.client_address import Address, parse_address
from credentials.credential import Credential
from credentials.permissions import CredentialRefused, HasScope
from credentials.refusals import Refusal, RefusedError
from gateway.introspection import MISSES, SCOPE
from gateway.verdict import verdict
from tokens.verification import TokenRecord

DOOR: Final = "verify"
GOOD: Final = "ok"


class VerifySerializer(serializers.Serializer[Any]):
    """`{credential, scopes?, environment?, client_ip?}`."""

    credential = serializers.CharField(trim_whitespace=False, max_length=8192)
    scopes = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=100)
    environment = serializers.ChoiceField(["live", "test"], required=False)
    client_ip = serializers.IPAddressField(required=False)


class VerifyView(APIView):
    """`POST /api/v1/verify`: 200 with the verdict, good or bad; the caller needs the scope `credentials:verify`."""

    permission_classes = (HasScope(SCOPE),)

    def post(self, request: Request) -> Response:
        """Answer `{valid, code, …}`. A genuine credential that is refused is told about, as its holder is told."""
        serializer = VerifySerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        address = parse_address(asked.get("client_ip", ""))
        credential = cast("Credential", request.auth)
        caller = credential.key_id or credential.owner_id
        if wait := MISSES.retry_after(caller):
            raise CredentialRefused(Refusal(code="rate_limited", retry_after=wait))
        try:
            record, _ = admit(lambda: _verdict(asked, address), door=DOOR, address=address)
        except RefusedError as error:
            if not error.refusal.about and (wait := MISSES.hit(caller)):  # one of many guesses at once
                raise CredentialRefused(Refusal(code="rate_limited", retry_after=wait)) from None
            about: dict[str, object] = {"title": error.refusal.reason.title, **error.refusal.about}
            if error.refusal.retry_after:
                about["retry_after"] = error.refusal.retry_after
            return Response({"valid": False, "code": error.refusal.code, "about": about})
        described = CredentialSerializer(record.credential).data
        return Response({"valid": True, "code": GOOD, "credential": described, "owner": record.credential.owner_id})


def _verdict(asked: dict[str, Any], address: Address | None) -> KeyRecord | TokenRecord:
    scopes = asked.get("scopes", ())
    return verdict(asked["credential"], address=address, environment=asked.get("environment"), scopes=scopes)
