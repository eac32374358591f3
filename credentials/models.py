"""The scope catalogue."""

from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models

SCOPE_NAME = r"[a-z][a-z0-9_.-]*(:[a-z][a-z0-9_.-]*)?"
"""A subset of RFC 6749's scope-token: what reads well in a list."""


class Scope(models.Model):
    """A named right. It is never renamed: keys name it, and their row seals cover the name."""

    name = models.CharField(
        primary_key=True,
        max_length=64,
        validators=[RegexValidator(rf"^{SCOPE_NAME}\Z", "Lower-case words, such as reports:read.")],
    )
    description = models.CharField(max_length=200, help_text="What it allows, in a developer's words.")
    restricted = models.BooleanField(
        default=False, help_text="Only operators grant it; developers can't take it themselves."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Read in the order of their names."""

        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Attempts(models.Model):
    """How often something was tried in one window of time. Whose it is can't be read from it: the id is a hash."""

    id = models.CharField(primary_key=True, max_length=64)
    count = models.PositiveIntegerField(default=1)
    ends_at = models.DateTimeField(db_index=True)

    class Meta:
        """Counted by `credentials.throttle`."""

        verbose_name_plural = "attempts"

    def __str__(self) -> str:
        return self.id
