"""How far an address of the operators' site reaches: filters, order, search and names of rows, never a secret."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.contrib.admin.utils import flatten_fieldsets, quote
from django.db.models import BinaryField, Field, Model
from django.http import HttpRequest
from django.test import Client

from tests.conftest import MakeKey
from tests.keyportal.operators_desk import desk, list_of, rows
from tests.keyportal.rights import registered

__all__ = ["desk", "rows"]

pytestmark = [pytest.mark.sweep, pytest.mark.django_db, pytest.mark.once, pytest.mark.finding("H7")]
SECRET_NAMES: Final = re.compile(
    r"password|seal|digest|ciphertext|form_token|session_data|session_key|secret$|^data$|^value$|^key$|cache_key"
)
SHOWN_THOUGH: Final = {"credentials.sourceaddress.secret"}
"""Fields that sound like a secret and hold a public id."""


def holds_secret(field: Any) -> bool:
    """Return whether a field holds what opens something, or would help to."""
    if not isinstance(field, Field):
        return False
    name = f"{field.model._meta.label_lower}.{field.name}"
    return isinstance(field, BinaryField) or bool(SECRET_NAMES.search(field.name) and name not in SHOWN_THOUGH)


def paths_of(model: type[Model], depth: int = 2, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every field that a lookup can name, across relations both ways."""
    for field in model._meta.get_fields(include_hidden=True):
        name = getattr(field, "name", "")
        if name.endswith("+"):
            continue  # a hidden relation has no name for a query
        yield f"{prefix}{name}", field
        if field.is_relation and depth and field.related_model:
            yield from paths_of(field.related_model, depth - 1, f"{prefix}{name}__")


def test_the_patterns_of_this_test_find_the_secrets_that_there_are() -> None:
    found = {
        f"{field.model._meta.label_lower}.{field.name}"
        for label in ("accounts.user", "apikeys.apikey", "tokens.tokenfamily")
        for _, field in paths_of(registered()[label].model)
        if holds_secret(field)
    }
    assert found >= {
        "accounts.user.password",
        "apikeys.apikey.seal",
        "apikeys.apikey.form_token",
        "apikeys.keysecret.digest",
        "apikeys.keysecret.ciphertext",
        "tokens.refreshtoken.digest",
        "mfa.authenticator.data",
        "usersessions.usersession.session_key",
    }


@pytest.mark.parametrize("label", sorted(registered()))
def test_no_filter_reaches_a_field_that_the_list_does_not_offer(desk: Client, label: str) -> None:
    """Not by any lookup, over any relation: a guess a letter would give a hash or a hint away."""
    page, request = registered()[label], request_of(desk)
    offered = set(page._filter_parameters(request))
    lookups = ("", "__startswith", "__contains", "__regex", "__gt", "__isnull", "__in", "__exact")
    paths = {path for path, _ in paths_of(page.model, depth=0)}
    paths |= {path for path, field in paths_of(page.model) if holds_secret(field)}
    forbidden = {f"{path}{lookup}" for path in paths for lookup in lookups} - offered
    assert len(forbidden) > 20
    let_through = [name for name in sorted(forbidden) if allows(page, name, request)]
    assert let_through == []
    path = next(iter(sorted(forbidden)))
    assert desk.get(f"{list_of(label)}?{path}=a", secure=True).status_code == 400


def allows(page: Any, name: str, request: HttpRequest) -> bool:
    try:
        return bool(page.lookup_allowed(name, "a", request))
    except Exception:  # noqa: BLE001  # it says no by raising
        return False


def request_of(desk: Client) -> HttpRequest:
    return desk.get("/admin/", secure=True).wsgi_request


@pytest.mark.parametrize("lookup", ["password__startswith", "groups__permissions__codename", "keys__secrets__digest"])
def test_a_guess_at_a_secret_tells_nothing(desk: Client, caplog: pytest.LogCaptureFixture, lookup: str) -> None:
    for guess in ("argon2", "md5", "kp_live_pasted_secret"):
        answer = desk.get(f"/admin/accounts/user/?{lookup}={guess}&{guess}=1", secure=True)
        assert answer.status_code == 400
    assert "kp_live_pasted_secret" not in caplog.text


@pytest.mark.parametrize("label", sorted(registered()))
def test_the_filters_that_a_list_offers_work(desk: Client, label: str) -> None:
    page = registered()[label]
    for name in page._filter_parameters(request_of(desk)):
        date = re.search("__(year|month|day)$", name)
        query = {f"{page.date_hierarchy}__year": "2026"} if date else {}
        query[name] = "1" if not date else "2026" if date[1] == "year" else "11"
        query[name] = "2026-01-01 00:00:00+00:00" if re.search("__(gte|lt)$", name) else query[name]
        assert desk.get(list_of(label), query, secure=True).status_code == 200, name


@pytest.mark.parametrize("label", sorted(registered()))
def test_no_page_shows_orders_by_or_searches_a_secret(desk: Client, label: str) -> None:
    page = registered()[label]
    request = request_of(desk)
    named = [*page.get_list_display(request), *page.get_ordering(request), *page.get_search_fields(request)]
    named += [*flatten_fieldsets(page.get_fieldsets(request)), *page.get_readonly_fields(request)]
    named += [item[0] if isinstance(item, tuple) else item for item in page.get_list_filter(request)]
    assert page.fields or label == "credentials.scope", f"{label} names no fields: a new one would be shown by itself"
    secrets = {path for path, field in paths_of(page.model) if holds_secret(field)}
    reached = {str(name).lstrip("-=^@") for name in named if isinstance(name, str)}
    assert reached & secrets == set()
    assert not page.autocomplete_fields
    assert not page.raw_id_fields


@pytest.mark.parametrize("label", sorted(registered()))
def test_an_order_is_one_of_the_columns(desk: Client, label: str, rows: None) -> None:
    for order in ("0", "1.-2", "-9", "99", "password", "--1", "1.1.1", "%00", "１"):
        assert desk.get(f"{list_of(label)}?o={order}", secure=True, follow=True).status_code in (200, 400), order
    assert desk.get(f"{list_of(label)}?all=&p=7&e=1&_popup=1&_facets=1", secure=True).status_code == 200


@pytest.mark.parametrize("label", sorted(registered()))
def test_a_row_is_named_by_its_key_alone(
    desk: Client, rows: None, label: str, caplog: pytest.LogCaptureFixture
) -> None:
    page = registered()[label]
    row = page.model.objects.first()
    assert row
    fields = [field.name for field in page.model._meta.get_fields() if field.name != page.model._meta.pk.name]
    for name in [*fields, "kp_live_pasted"]:
        for path in (
            list_of(label),
            f"{list_of(label)}{quote(row.pk)}/change/",
            f"{list_of(label)}{quote(row.pk)}/delete/",
        ):
            answer = desk.get(f"{path}?_to_field={name}", secure=True)
            assert answer.status_code in (400, 403), (path, name)
    assert "kp_live_pasted" not in caplog.text


@pytest.mark.parametrize("label", sorted(registered()))
@pytest.mark.parametrize("pasted", ["kp_live_0123456789", "9" * 40, "-1", "a/b/c", "_3A", "é"])
def test_what_is_not_there_is_a_404_that_repeats_nothing(desk: Client, label: str, pasted: str) -> None:
    for page in ("change", "delete", "history"):
        answer = desk.get(f"{list_of(label)}{pasted}/{page}/", secure=True, follow=True)
        assert answer.status_code in (403, 404)
        assert pasted == "-1" or pasted not in answer.content.decode().replace(f"{pasted}/{page}", "")
    assert pasted == "-1" or pasted not in desk.get("/admin/", secure=True).content.decode()


def test_a_secret_in_a_search_is_not_looked_up_and_does_not_stay_in_the_address(
    desk: Client, make_key: MakeKey
) -> None:
    _, secret = make_key()
    for path in map(list_of, sorted(registered())):
        answer = desk.get(f"{path}?q={secret}", secure=True)
        assert answer["Location"] == path
    page = desk.get("/admin/apikeys/apikey/", secure=True).content.decode()
    assert "Find a credential" in page
    assert secret not in page
