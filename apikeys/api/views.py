"""Version 1 of the keys' API."""

from typing import cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.api.serializers import credential_json
from credentials.credential import Credential


class MeView(APIView):
    """`GET /api/v1/me`: the credential that this request sent, with its owner, scopes, environment and expiry."""

    def get(self, request: Request) -> Response:
        """Return 200 with the credential that the `Authorization` header proved, without its secret."""
        return Response(credential_json(cast("Credential", request.auth)))
