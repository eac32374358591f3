"""A view of Django REST framework that only keys and tokens with `reports:read` open: three lines are keyportal's.

For an API that lives in the same Django project as the portal. Another one asks by a gateway (`reports_service.py`), by
`POST /api/v1/verify`, or verifies tokens by itself (`flask_verifier.py`).
"""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.authentication import APIKeyAuthentication
from credentials.permissions import HasScope
from tokens.authentication import AccessTokenAuthentication


class ReportsView(APIView):
    """`GET`: the caller's reports."""

    authentication_classes = (APIKeyAuthentication, AccessTokenAuthentication)
    permission_classes = (HasScope("reports:read"),)

    def get(self, request: Request) -> Response:
        """Answer with what belongs to the owner of the credential."""
        return Response({"reports": ["first", "second"], "owner": request.user.pk})
