"""Pages and actions are registered with the permission that they need; the site has no log-in of its own."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import site
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.test import Client

from accounts.models import User
from accounts.operators import OperatorAdmin
from credentials.scopes.models import Scope
from keyportal.admin_site import PAGES, PortalAdminSite
from tests.conftest import PASSWORD, LogIn, MakeUser
from tests.keyportal.operator_actions import ACTIONS, DJANGOS_OWN, EVERY_ACTION, PAGES_OF_MODELS
from tests.keyportal.rights import registered
from tests.rows import rewrite

pytestmark = [pytest.mark.sweep, pytest.mark.django_db, pytest.mark.once, pytest.mark.finding("H7")]


def test_every_admin_is_an_operators_and_every_action_names_a_permission() -> None:
    assert set(ACTIONS) <= set(EVERY_ACTION)
    for label, page in registered().items():
        assert issubclass(type(page), OperatorAdmin), label
        assert page.inlines == (), f"{label}: an inline writes too; test it"
        assert page.list_editable == (), f"{label}: a list that is edited writes too; test it"
        for function, name, _ in page._get_base_actions():
            named = getattr(function, "allowed_permissions", ())
            assert named, f"{label}.{name} names no permission"
            assert all(hasattr(page, f"has_{permission}_permission") for permission in named)


def test_every_page_is_known_and_names_a_permission() -> None:
    found = set()
    for label, page in registered().items():
        prefix = label.replace(".", "_") + "_"
        declared = {f"{prefix}{method.__name__}": method.operators_permission for method in page.pages()}
        names = {url.name for url in page.get_urls() if url.name}
        assert names - {f"{prefix}{own}" for own in DJANGOS_OWN} == set(declared), f"{label}: use operators_page"
        assert all(hasattr(page, f"has_{permission}_permission") for permission in declared.values())
        found |= {f"{label}.{name.removeprefix(prefix)}" for name in declared}
    assert found == PAGES_OF_MODELS
    assert set(filter(None, (getattr(url, "name", None) for url in site.get_urls()))) == PAGES


def test_an_action_that_names_no_permission_is_nobodys(operator: User) -> None:
    class Careless(OperatorAdmin):
        actions = ("destroy",)

        @admin.action
        def destroy(self, request: HttpRequest, queryset: Any) -> None:
            """Name nothing."""

    request = HttpRequest()
    request.user = operator
    careless = Careless(Scope, site)
    assert set(careless.get_actions(request)) == {"delete_selected"}


def test_an_admin_of_another_kind_is_not_registered() -> None:
    other = PortalAdminSite()
    for kind in (None, admin.ModelAdmin):
        with pytest.raises(ImproperlyConfigured, match="must be an OperatorAdmin"):
            other.register(Scope, kind)
    other.register(Group, admin.ModelAdmin)  # what a library brings, and nobody needs
    assert other._registry == {}


@pytest.mark.security("A-13")
def test_the_admin_has_no_log_in_of_its_own(log_in: LogIn, make_user: MakeUser, operator: User) -> None:
    """Django's form would ask for no second factor and count no guesses, and change who is logged in."""
    lesser = make_user("lesser@example.com")
    rewrite(lesser, is_staff=True)
    browser = log_in(User.objects.get(pk=lesser.pk))
    guess = {"username": operator.email, "password": PASSWORD, "next": "/admin/"}
    for path in ("/admin/login/", "/admin/login/?next=/admin/accounts/user/"):
        assert browser.post(path, guess, secure=True)["Location"] == "/admin/"
        assert browser.get(path, secure=True)["Location"] == "/admin/"
    assert browser.get("/admin/accounts/user/", secure=True).status_code == 403
    anonymous = Client().post("/admin/login/", guess, secure=True)
    assert anonymous["Location"].startswith("/accounts/login/")
    developer = log_in(make_user("developer@example.com"))
    assert developer.post("/admin/login/", guess, secure=True).status_code == 403
