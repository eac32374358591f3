"""API v1 of the gateway: a service in any language asks about a credential that was shown to it."""

from typing import Any, Final, cast

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.serializers import CredentialSerializer
from credentials.client_address import parse_address
from credentials.credential import Credential
from credentials.permissions import CredentialRefused, HasScope
from credentials.refusals import Refusal, RefusedError
from gateway.introspection import MISSES, SCOPE
from gateway.verdict import verdict

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
        caller = cast("Credential", request.auth).id
        if wait := MISSES.wait(caller):
            raise CredentialRefused(Refusal(code="rate_limited", retry_after=wait))
        try:
            record = verdict(
                asked["credential"],
                address=parse_address(asked.get("client_ip", "")),
                environment=asked.get("environment"),
                scopes=asked.get("scopes", ()),
            )
        except RefusedError as error:
            if not error.refusal.about:
                MISSES.take(caller)  # as if somebody guessed
            about = {"title": error.refusal.reason.title, **error.refusal.about}
            return Response({"valid": False, "code": error.refusal.code, "about": about})
        credential = record.credential
        described = CredentialSerializer(credential).data
        return Response({"valid": True, "code": GOOD, "credential": described, "owner": credential.owner_id})
