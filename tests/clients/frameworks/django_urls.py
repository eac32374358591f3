"""The service in Django, in all ways to write a view."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from keyportal_client.django import KeyportalRequest, requires
from keyportal_client.drf import HasScope, KeyportalAuthentication, Owner


def whose(request: KeyportalRequest) -> JsonResponse:
    return JsonResponse({"owner": request.credential.owner_id, "user": getattr(request, "user", None)})


@requires("reports:read")
def reports(request: KeyportalRequest) -> JsonResponse:
    return whose(request)


@requires("reports:read")
async def async_reports(request: KeyportalRequest) -> JsonResponse:
    assert not hasattr(request, "user") or await request.auser() == request.user
    return whose(request)


@method_decorator(requires("reports:read"), name="dispatch")
class Reports(View):
    def get(self, request: KeyportalRequest) -> JsonResponse:
        return whose(request)


@method_decorator(requires("reports:read"), name="dispatch")
class AsyncReports(View):
    async def get(self, request: KeyportalRequest) -> JsonResponse:
        return whose(request)


def lazy(request: KeyportalRequest) -> Any:
    assert request.credential.kind == "api_key"
    return reports(request)


async def async_lazy(request: KeyportalRequest) -> Any:
    credential = await request.acredential()
    assert credential is request.credential
    return await async_reports(request)


def untouched(request: HttpRequest) -> HttpResponse:
    return JsonResponse("open to all", safe=False)


class ReportsView(APIView):
    authentication_classes = (KeyportalAuthentication,)
    permission_classes = (HasScope("reports:read"),)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = DefaultContentNegotiation

    def get(self, request: Request) -> Response:
        credential: Any = request.auth
        user: Any = request.user
        shown = None if isinstance(user, Owner) else user
        return Response({"owner": credential.owner_id, "user": shown})


urlpatterns = [
    path("reports", reports),
    path("async", async_reports),
    path("class", Reports.as_view()),
    path("async-class", AsyncReports.as_view()),
    path("lazy", lazy),
    path("async-lazy", async_lazy),
    path("open", untouched),
    path("drf", ReportsView.as_view()),
]
