"""Accounts and the catalogue: somebody must be able to operate the portal, and nobody else."""

from collections.abc import Iterator
from typing import Final

from allauth.mfa.models import Authenticator
from django.conf import settings

from accounts.issuing import current_suspension
from accounts.models import User
from apikeys.models import APIKey, KeyPolicy
from credentials.scopes.models import BUILT_IN, Scope
from integrity.hostile_rows import has_valid_seal
from keyportal.doctor.findings import Finding, note, problem, warning

SAMPLES: Final = ("operator@example.com", "developer@example.com")
"""The accounts that `make run` creates."""

NO_OPERATOR = problem(
    "no_operator",
    meaning="Nobody can log in to /admin/: to pause keys, add scopes, or close accounts.",
    advice="Run `python manage.py createdeveloper EMAIL --confirmed --operator`.",
)
ONE_FACTOR = warning(
    "operators_one_factor",
    meaning="Whoever learns an operator's password can end every key.",
    advice="Have operators add a passkey or one-time codes on their account's page.",
)
SAMPLE = problem(
    "sample_accounts",
    meaning="These accounts are made for local mode, and their passwords were printed on a terminal.",
    advice="Close the accounts.",
)
NO_SCOPE = note(
    "no_scopes",
    meaning="Keys of developers can have no rights of your API yet.",
    advice="Add your API's scopes: /admin/, Scopes.",
)
TAMPERED = problem(
    "rows_tampered",
    meaning="Somebody has written to the database past the portal. The rows give no rights meanwhile.",
    advice="Find out who can write to the database. The lists in /admin/ mark the rows (“row seal matches”).",
)
SUSPENDED = note(
    "issuing_suspended",
    meaning="Nobody can sign up, create a key or get a token. What exists goes on.",
    advice="When the incident is over: `python manage.py newcredentials on`, or /admin/, New credentials.",
)


def examine() -> Iterator[Finding]:
    """Yield who is missing among the operators, and which of the rows that give most rights were changed."""
    operators = list(User.objects.filter(is_staff=True, is_active=True).exclude(confirmed_at=None))
    if not operators:
        yield NO_OPERATOR.found("There is no active operator.")
    strong = set(Authenticator.objects.filter(user__in=operators).values_list("user_id", flat=True))
    weak = [operator for operator in operators if operator.pk not in strong]
    if weak and not settings.KEYPORTAL_LOCAL:
        yield ONE_FACTOR.found(f"{len(weak)} of {len(operators)} operators have no second factor.")
    if not settings.KEYPORTAL_LOCAL and User.objects.filter(email__in=SAMPLES, is_active=True).exists():
        yield SAMPLE.found("The sample accounts of local mode are active.")
    if current_suspension() is not None:
        yield SUSPENDED.found("New credentials are suspended.")
    scopes = list(Scope.objects.exclude(name__in=BUILT_IN))
    if not scopes:
        yield NO_SCOPE.found("The catalogue has no scope of your own.")
    rows = (*operators, *scopes, *KeyPolicy.objects.all(), *APIKey.objects.order_by("-pk")[:500])
    tampered = [row for row in rows if not has_valid_seal(row)]
    if tampered:
        kinds = sorted({str(row._meta.verbose_name_plural) for row in tampered})
        yield TAMPERED.found(f"{len(tampered)} rows were changed outside the portal: {', '.join(kinds)}.")
