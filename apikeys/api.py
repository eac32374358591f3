"""API v1 of the keys."""

from typing import cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.serializers import described
from credentials.credential import Credential


class MeView(APIView):
    """`GET /api/v1/me`: which credential this is, whose, its scopes, environment and expiry."""

    def get(self, request: Request) -> Response:
        """Answer 200 with the credential that the header proved; never with its secret."""
        return Response(described(cast("Credential", request.auth)))
