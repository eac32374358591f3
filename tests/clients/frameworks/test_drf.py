"""What only Django REST framework has: other classes of authentication beside ours, users, and its own handler."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import AllowAny, DjangoModelPermissions, IsAdminUser, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from keyportal_client import Credential
from keyportal_client.drf import HasCredential, HasScope, KeyportalAuthentication, Owner
from keyportal_client.testing import InMemoryPortal
from keyportal_client.testing.plugin import MakeKey
from tests.clients.frameworks.django_urls import ReportsView
from tests.clients.frameworks.services import SCOPE, as_django

pytestmark = pytest.mark.once
OURS = {"REST_FRAMEWORK": {"EXCEPTION_HANDLER": "rest_framework.views.exception_handler"}}


@pytest.fixture(autouse=True)
def project(keyportal: InMemoryPortal) -> Iterator[None]:
    """A project that the settings of the tests' own are not for."""
    with override_settings(**as_django({})):
        yield


class ByCookie(BaseAuthentication):
    """Another class of the service's own."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        return ("of the cookie", None) if "login" in request.COOKIES else None


def ask(headers: dict[str, str] | None = None, **members: Any) -> Any:
    """Return what a view with these members answers."""
    view: Any = type("View", (ReportsView,), {"get": lambda self, request: Response(str(request.user)), **members})
    response = view.as_view()(RequestFactory().get("/", headers=headers or {}))
    return response if isinstance(response, HttpResponse) and not isinstance(response, Response) else response.render()


def test_without_a_credential_other_classes_are_asked(api_key: MakeKey) -> None:
    classes = {"authentication_classes": (KeyportalAuthentication, ByCookie), "permission_classes": (IsAuthenticated,)}
    anybody = {**classes, "permission_classes": (AllowAny,)}
    assert ask({"Cookie": "login=1"}, **anybody).data == "of the cookie"
    assert ask({"Cookie": "login=1", "Authorization": "Bearer none"}, **anybody).status_code == 401
    assert ask({"Authorization": "Basic dXNlcjpwYXNz"}, **classes).status_code == 401


def test_scopes_combine_as_permissions_do(api_key: MakeKey) -> None:
    reader, nobody = api_key([SCOPE]), api_key()
    both = {"permission_classes": (HasScope(SCOPE) & HasScope("reports:write"),)}
    assert ask(reader.headers, permission_classes=(HasCredential & HasScope(SCOPE),)).status_code == 200
    refused = ask(reader.headers, **both)
    assert (refused.status_code, 'scope="reports:write"' in refused["WWW-Authenticate"]) == (403, True)
    assert ask(nobody.headers, permission_classes=(HasCredential,)).status_code == 200


def test_the_user_has_an_id_and_no_right_of_django(api_key: MakeKey) -> None:
    headers = api_key([SCOPE]).headers
    assert ask(headers, permission_classes=(IsAuthenticated,)).status_code == 200
    assert ask(headers, permission_classes=(IsAdminUser,)).status_code == 403
    owner = Owner("usr_1")
    assert (owner.pk, owner.is_authenticated, owner.is_anonymous) == ("usr_1", True, False)
    assert not owner.has_perms(["reports.view_report"])
    assert DjangoModelPermissions.authenticated_users_only


def test_the_user_is_what_the_services_function_finds(api_key: MakeKey) -> None:
    def find(credential: Credential) -> str:
        return f"row of {credential.owner_id}"

    with override_settings(KEYPORTAL_USER=find):
        assert ask(api_key([SCOPE]).headers).data.startswith("row of usr_")


def test_rest_frameworks_own_handler_sends_status_and_challenge_too(
    keyportal: InMemoryPortal, api_key: MakeKey
) -> None:
    with override_settings(**OURS):
        missing, unknown = ask(), ask({"Authorization": "Bearer none"})
        with keyportal.away():
            away = ask(api_key([SCOPE]).headers)
    assert (missing.status_code, missing["WWW-Authenticate"]) == (401, 'Bearer realm="keyportal"')
    assert (unknown.status_code, 'error="invalid_token"' in unknown["WWW-Authenticate"]) == (401, True)
    assert (away.status_code, int(away["Retry-After"]) > 0, away.has_header("WWW-Authenticate")) == (503, True, False)


def test_what_others_refuse_is_answered_as_before() -> None:
    def refuse(self: Any, request: Request) -> Response:
        raise NotAuthenticated

    response = ask(authentication_classes=(ByCookie,), permission_classes=(AllowAny,), get=refuse)
    assert (response.status_code, set(response.data)) == (403, {"detail"})
