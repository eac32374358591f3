"""A Django REST framework view that needs a key or token with `reports:read`; three lines of it are keyportal's.

This is for an API in the same Django project as the portal. Other APIs ask through a gateway (`reports_service.py`),
call `POST /api/v1/verify`, or verify tokens themselves (`flask_verifier.py`).
"""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.authentication import APIKeyAuthentication
from credentials.permissions import HasScope
from tokens.authentication import AccessTokenAuthentication


class ReportsView(APIView):
    """`GET`: the reports of the credential's owner."""

    authentication_classes = (APIKeyAuthentication, AccessTokenAuthentication)
    permission_classes = (HasScope("reports:read"),)

    def get(self, request: Request) -> Response:
        """Return what belongs to the owner of the credential."""
        return Response({"reports": ["first", "second"], "owner": request.user.pk})
