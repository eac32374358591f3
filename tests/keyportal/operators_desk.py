"""An operator who is logged in, and a row of each model of the operators' site."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import IssuingState, User
from apikeys.models import KeyPolicy
from credentials.scopes.models import Scope
from credentials.usage.models import SourceAddress, Usage
from keyportal.models import TaskRun
from tests.conftest import LogIn, MakeKey
from tests.keyportal.rights import registered
from tokens.models import Audience, RevokedToken


@pytest.fixture
def desk(log_in: LogIn, operator: User) -> Client:
    return log_in(operator)


def list_of(label: str) -> str:
    return f"/admin/{label.replace('.', '/')}/"


@pytest.fixture
def rows(make_key: MakeKey, developer: User) -> None:
    key, _ = make_key()
    now = timezone.now()
    KeyPolicy.objects.create(environment="live")
    IssuingState.objects.create()
    Scope.objects.create(name="a:b", description="x")
    Audience.objects.create(uri="https://reports.test", description="x")
    Usage.objects.create(credential=key.pk, hour=now, entry_point="api", outcome="accepted", count=1)
    SourceAddress.objects.create(credential=key.pk, address="192.0.2.1", first_at=now, last_at=now)
    RevokedToken.objects.create(issuer="x", token_id="tok_x", expires_at=now + timedelta(days=1))
    TaskRun.objects.create(task="purge", started_at=now, by="test")
    family = registered()["tokens.tokenfamily"].model
    family.objects.create(user=developer, epoch=0, expires_at=now, seal=b"x")
