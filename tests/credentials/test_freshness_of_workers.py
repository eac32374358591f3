"""Every worker hears of a change, whatever makes it: verbs, `QuerySet.update`, SQL by hand."""

import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from apikeys.models import APIKey, KeySecret
from apikeys.verification import KEY_COLUMNS, SECRET_COLUMNS, verify
from credentials.record import OWNER_COLUMNS
from credentials.scopes.models import Scope
from credentials.verified_cache.verdict_tables import VERDICT_TABLES
from gateway.verification import verify_any
from tests.conftest import ORIGIN, MakeKey
from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Portal
from tests.staleness import wait_until_refused
from tokens.models import RevokedToken, TokenFamily
from tokens.services import issue_to_key, issue_to_user
from tokens.verification import FAMILY_COLUMNS

VERBS = "from accounts import services as a; from apikeys import services as k; from audit.origin import Origin; "
WHO = "o = Origin.of_command('test'); key = APIKey.objects.get(pk='{key}'); user = key.owner; "
NOW = "from django.utils import timezone; now = timezone.now(); "
SQL = "from django.db import connection as c; c.cursor().execute({sql!r}, [{parameters}])"

CHANGES = {
    "a verb revokes the key": "k.revoke(key=key, reason='test', origin=o)",
    "a verb switches the owner off": "a.deactivate_user(user=user, origin=o)",
    "a verb takes the confirmation back": "a.unconfirm_user(user=user, origin=o)",
    "a queryset pauses the key": "APIKey.objects.filter(pk=key.pk).update(paused_at=now)",
    "a queryset revokes many at once": "APIKey.objects.filter(owner=user).update(revoked_at=now)",
    "a queryset retires the secret": "KeySecret.objects.filter(key=key).update(retires_at=now)",
    "SQL revokes the key": SQL.format(
        sql="UPDATE apikeys_apikey SET revoked_at = created_at WHERE id = %s", parameters="key.pk"
    ),
    "SQL deletes the secret": SQL.format(sql="DELETE FROM apikeys_keysecret WHERE key_id = %s", parameters="key.pk"),
    "SQL switches the owner off": SQL.format(
        sql="UPDATE accounts_user SET is_active = %s WHERE id = %s", parameters="False, user.pk"
    ),
    "SQL widens the key": SQL.format(
        sql="UPDATE apikeys_apikey SET scopes = %s WHERE id = %s", parameters="'x', key.pk"
    ),
}


@pytest.fixture
def new_client(portal: Portal, request: pytest.FixtureRequest) -> Callable[[], ClientKey]:
    """Make a developer with a key."""

    def make() -> ClientKey:
        email = f"fresh-{abs(hash(request.node.name))}@example.com"
        portal.make_developer(email)
        return ClientKey(*portal.make_key(email))

    return make


def warm(oauth_client: OAuthClient, *credentials: str) -> None:
    """Let every worker cache the verdict."""
    for credential in credentials:
        assert {oauth_client.me(credential).status for _ in range(8)} == {200}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_key_and_its_tokens_are_refused_after_a_change_by_anyone(
    portal: Portal, oauth_client: OAuthClient, new_client: Callable[[], ClientKey], change: str
) -> None:
    client = new_client()
    token = oauth_client.client_token(client)
    warm(oauth_client, client.secret, token)
    portal.shell(VERBS + NOW + WHO.format(key=client.id) + change)
    wait_until_refused(lambda: oauth_client.me(client.secret).status)
    if "keysecret" not in change.lower():  # a token was swapped for the key, not for one of its secrets
        wait_until_refused(lambda: oauth_client.me(token).status)


def test_a_log_in_s_token_is_refused_after_its_end_by_anyone(portal: Portal, oauth_client: OAuthClient) -> None:
    portal.make_developer("fresh-token@example.com")
    ends = (
        "RevokedToken.objects.create(issuer='{url}', token_id='{family}', expires_at=now)",
        "User.objects.filter(pk='{user}').update(auth_epoch=99)",
    )
    for end in ends:
        token: str = oauth_client.log_in("fresh-token@example.com")["access_token"]
        warm(oauth_client, token)
        family, user = portal.shell("f = TokenFamily.objects.latest('started_at'); print(f.pk, f.user_id)").split()
        portal.shell(NOW + end.format(url=portal.url, family=family, user=user))
        wait_until_refused(lambda token=token: oauth_client.me(token).status)  # type: ignore[misc]


def test_a_scope_that_leaves_the_catalogue_leaves_every_key(portal: Portal, oauth_client: OAuthClient) -> None:
    portal.make_developer("fresh-scope@example.com")
    portal.shell("Scope.objects.get_or_create(name='fresh:read', defaults={'description': 'x'})")
    client = ClientKey(*portal.make_key("fresh-scope@example.com", "--scope", "fresh:read"))
    warm(oauth_client, client.secret)
    assert b"fresh:read" in oauth_client.me(client.secret).body
    portal.shell("Scope.objects.filter(name='fresh:read').delete()")

    def still_there() -> int:
        return 200 if b"fresh:read" in oauth_client.me(client.secret).body else 403

    wait_until_refused(still_there)


def test_a_good_change_is_heard_too(
    portal: Portal, oauth_client: OAuthClient, new_client: Callable[[], ClientKey]
) -> None:
    client = new_client()
    warm(oauth_client, client.secret)
    portal.shell(f"{NOW}APIKey.objects.filter(pk='{client.id}').update(paused_at=now)")
    wait_until_refused(lambda: oauth_client.me(client.secret).status)
    portal.shell(f"APIKey.objects.filter(pk='{client.id}').update(paused_at=None)")
    wait_until_refused(lambda: 200 if oauth_client.me(client.secret).status == 401 else 401)


def test_a_limit_that_an_operator_sets_holds_for_a_key_that_is_in_use(
    portal: Portal, oauth_client: OAuthClient, new_client: Callable[[], ClientKey]
) -> None:
    client = new_client()
    warm(oauth_client, client.secret)
    portal.shell(VERBS + WHO.format(key=client.id) + "k.set_rate_limit(key=key, limit='1/hour', origin=o)")
    # Each worker counts for itself here, and lets one more call through.
    wait_until_refused(lambda: oauth_client.me(client.secret).status, at_once=False)


@pytest.mark.once
@pytest.mark.finding("H14")
def test_everything_that_is_remembered_is_told_when_it_changes() -> None:
    read = {
        User: OWNER_COLUMNS.columns,
        APIKey: KEY_COLUMNS.columns,
        KeySecret: SECRET_COLUMNS.columns,
        Scope: Scope.sealed_columns(),
        RevokedToken: ("token_id",),
        TokenFamily: FAMILY_COLUMNS.columns,
    }
    triggers = {trigger.table: trigger for trigger in VERDICT_TABLES}
    assert set(triggers) == {model._meta.db_table for model in read}
    for model, fields in read.items():
        trigger = triggers[model._meta.db_table]
        columns = {field.attname: field.column for field in model._meta.concrete_fields}
        assert not {columns[name] for name in fields}.intersection(trigger.ignored)
        assert trigger.kind in ("", "key", "user", "token")  # what tags of records begin with
        assert not trigger.kind or trigger.column in columns.values()
        assert "UPDATE" in trigger.events


@pytest.mark.django_db
@pytest.mark.finding("H14")
def test_no_verdict_reads_a_table_whose_changes_are_not_told(developer: User, make_key: MakeKey) -> None:
    _, secret = make_key()
    of_key = issue_to_key(client=verify(secret, address=None), scopes=None, origin=ORIGIN)
    of_user = issue_to_user(user=developer, scopes=None, agent="", origin=ORIGIN)
    with CaptureQueriesContext(connection) as queries:
        for credential in (secret, of_key.access_token, of_user.access_token):
            verify_any(credential, address=None)
    read = {table for query in queries for table in re.findall(r'(?:FROM|JOIN) "(\w+)"', query["sql"])}
    assert len(queries) == 3
    assert read == {trigger.table for trigger in VERDICT_TABLES}
