"""The scopes of the catalogue."""

from typing import ClassVar, Final

from django.core.validators import RegexValidator
from django.db import models
from typing_extensions import override

from integrity.sealed import SealedRow

SCOPE_NAME = r"[a-z][a-z0-9_.-]*(:[a-z][a-z0-9_.-]*)?"
"""A subset of RFC 6749's scope-token that reads well in a list."""


MANAGEMENT: Final = frozenset({"keys:read", "keys:write", "self:rotate"})
"""Scopes of the management API. A token has one only if it was asked for by name."""
BUILT_IN: Final = {"credentials:verify": True, **dict.fromkeys(MANAGEMENT, False)}
"""Scopes that the portal itself requires, and whether only operators grant them.

Migrations write their rows, unsealed for lack of a ring.
"""


class ScopeQuerySet(models.QuerySet["Scope"]):
    """A queryset of scopes."""

    def with_valid_seals(self) -> list["Scope"]:
        """Return the scopes that are as the portal wrote them. No other scope belongs to a catalogue."""
        return [scope for scope in self if scope.seal_is_valid()]


class Scope(SealedRow):
    """A named right. It is never renamed, because keys name it and their row seals cover the name.

    Its own seal covers whether it is restricted: a scope that was not written by the portal is in no catalogue.
    """

    name = models.CharField(
        primary_key=True,
        max_length=64,
        validators=[RegexValidator(rf"^{SCOPE_NAME}\Z", "Lower-case words, such as reports:read.")],
    )
    description = models.CharField(max_length=200, help_text="What it allows, as developers read it.")
    restricted = models.BooleanField(
        default=False, help_text="Only operators can grant it; developers can't add it themselves."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager["Scope"]] = ScopeQuerySet.as_manager()

    PURPOSE = "scope"
    SEALED = ("name", "restricted")

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    @override
    def seal_is_valid(self) -> bool:
        """Return whether the row's seal is valid, or the scope is one of `BUILT_IN`."""
        return is_built_in(self.name, restricted=self.restricted) or super().seal_is_valid()


def is_built_in(name: str, *, restricted: bool) -> bool:
    """Return whether the scope is one of `BUILT_IN`, and restricted as it is there."""
    return BUILT_IN.get(name) is restricted
