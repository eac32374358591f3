"""Keys in every state, with a history of calls: what `make screenshots` shows."""

import random
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from apikeys import services
from apikeys.models import APIKey
from apikeys.services.rotation import current_secret
from audit.origin import Origin
from credentials.scopes.models import Scope
from credentials.scopes.services import add_scope
from credentials.usage.models import AddressUsage, SourceAddress, Usage

HOURS = 24 * 30


def make_sample_keys(owner: User) -> None:
    """Give a developer keys in every state."""
    origin = Origin(actor=f"user:{owner.pk}", address="203.0.113.7")
    now = timezone.now()

    def make(name: str, environment: str = "live", **fields: Any) -> APIKey:
        return services.create_key(name=name, environment=environment, owner=owner, origin=origin, **fields)[0]

    both = ["reports:read", "reports:write"]
    for scope in both:
        if not Scope.objects.filter(pk=scope).exists():
            add_scope(name=scope, description=f"May {scope[8:]} reports", restricted=False, origin=origin)
    _old(make("old prototype", "test"), days=90)
    revoked = make("laptop of a former colleague")
    services.revoke(key=revoked, reason="left the company", origin=origin)
    paused = make("nightly export", scopes=both[:1])
    services.pause(key=paused, reason="looking into duplicate rows", until=now + timedelta(days=2), origin=origin)
    soon = make("partner: Contoso", expires_at=now + timedelta(days=5))
    _old(soon, days=60)
    _use(soon, calls=40)
    odd = make("<b>mobile app</b> \u200fעברית", scopes=both)
    _use(odd, calls=120, refused=30)
    rotating = make("billing server", scopes=both)
    _use(rotating, calls=900, refused=4)
    services.rotate(key=rotating, replaces=current_secret(rotating).pk, overlap=timedelta(days=7), origin=origin)
    ci = make("CI", "test", networks=["192.0.2.0/24"])
    _use(ci, calls=12)
    make("x" * 100, "test")


def _old(key: APIKey, *, days: int) -> None:
    APIKey.objects.filter(pk=key.pk).update(created_at=timezone.now() - timedelta(days=days))


def _use(key: APIKey, *, calls: int, refused: int = 0) -> None:
    """Record accepted and refused calls over 30 days, up to four minutes ago."""
    chance = random.Random(key.name)
    now, secret = timezone.now(), current_secret(key).pk
    hours = [now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=back) for back in range(HOURS)]
    rows = [
        Usage(credential=key.pk, secret=secret, hour=hour, entry_point="api", outcome="accepted", count=count)
        for hour in hours
        if (count := chance.randint(0, calls) // 24)
    ]
    rows += [
        Usage(credential=key.pk, hour=hour, entry_point="api", outcome="insufficient_scope", count=count)
        for hour in hours[::5]
        if (count := chance.randint(0, refused))
    ]
    Usage.objects.bulk_create(rows)
    days = [(now - timedelta(days=back)).date() for back in range(30)]
    for address, share in (("203.0.113.7", 10), ("203.0.113.9", 2), ("2001:db8::17", 1)):
        AddressUsage.objects.bulk_create(
            AddressUsage(credential=key.pk, day=day, address=address, count=calls * share // 13 + 1) for day in days
        )
    for back, address in ((4, "203.0.113.7"), (60 * 30, "2001:db8::17")):
        at = now - timedelta(minutes=back)
        SourceAddress.objects.create(
            credential=key.pk, secret=secret, address=address, first_at=now - timedelta(days=20), last_at=at
        )
