"""Version 1 of the gateway's API, for requests that the fast path (`keyportal.http_server`) leaves to Django."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from audit.client_address import parse_address
from credentials.admission import note_verified
from gateway.verify import JSON, VerifyCall, read_media_type


class VerifyView(APIView):
    """`POST /api/v1/verify` for requests with unusual headers or another method; answers as `gateway.verify` does."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> HttpResponse:
        """Return 200 with the verdict, good or bad. The caller needs the scope `credentials:verify`."""
        django_request = request._request
        meta = django_request.META
        address = parse_address(meta.get("REMOTE_ADDR", ""))
        call = VerifyCall(meta.get("HTTP_AUTHORIZATION"), meta.get("QUERY_STRING", ""), django_request.body, address)
        note_verified(django_request, call.authenticate())
        read_media_type(meta.get("CONTENT_TYPE", ""))
        return HttpResponse(call.respond(), content_type=JSON)
