"""The scope catalogue as part of a verdict's query, so that a scope removed from it leaves every key at once."""

import logging
from functools import lru_cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Aggregate, Case, CharField, Func, Subquery, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.sql.compiler import SQLCompiler
from typing_extensions import override

from credentials.scopes.models import Scope, is_built_in
from integrity.key_check import confirm_key_of
from vault.digests import row_seal_is_valid
from vault.rings import KeyRing

logger = logging.getLogger(__name__)

RESTRICTED, FREE = str(True), str(False)


class JoinedTexts(Aggregate):
    """The texts of a group joined by spaces."""

    function = "STRING_AGG"
    template = "%(function)s(%(expressions)s, ' ')"
    output_field = TextField()

    @override
    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        return self.as_sql(compiler, connection, function="GROUP_CONCAT", **context)


class Hexadecimal(Func):
    """Bytes as hexadecimal digits, so that no stored value can be taken for a separator."""

    template = "encode(%(expressions)s, 'hex')"
    output_field = TextField()

    @override
    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        return self.as_sql(compiler, connection, template="hex(%(expressions)s)", **context)


class HexadecimalText(Hexadecimal):
    """The UTF-8 bytes of a text as hexadecimal digits."""

    template = "encode(convert_to(%(expressions)s, 'UTF8'), 'hex')"


class Entry(Func):
    """Texts that are never null, joined by spaces. Django's `Concat` would check every part for null."""

    template = "(%(expressions)s)"
    arg_joiner = " || ' ' || "
    output_field = TextField()


def catalogue() -> Combinable:
    """Return an expression for all scopes in one text: name, whether restricted, row seal; null if there are none."""
    restricted = Case(When(restricted=True, then=Value(RESTRICTED)), default=Value(FREE), output_field=TextField())
    entry = Entry(HexadecimalText("name"), restricted, Hexadecimal("seal"))
    every = Value(1, output_field=CharField())
    return Subquery(
        Scope.objects.order_by()
        .annotate(every=every)
        .values("every")
        .annotate(entries=JoinedTexts(entry))
        .values("entries")
    )


def current_names() -> frozenset[str]:
    """Return the names of the scopes that the catalogue has now."""
    return frozenset(scope.name for scope in Scope.objects.all().with_valid_seals())


@lru_cache(maxsize=16)
def names_in(ring: KeyRing, entries: str) -> frozenset[str]:
    """Return the names of the scopes that `catalogue` selected, except those that were not written by the portal.

    Cached by the text, because the catalogue is the same for every key and seldom changes. Raises `RingMisfitError` if
    this process lacks the key that one was sealed with.
    """
    parts = entries.split(" ")
    names = set()
    for name, restricted, seal in zip(parts[0::3], parts[1::3], parts[2::3], strict=False):
        raw = bytes.fromhex(name)
        known = is_built_in(raw.decode(errors="replace"), restricted=restricted == RESTRICTED)
        if known or row_seal_is_valid(ring, bytes.fromhex(seal), [Scope.PURPOSE, raw, restricted]):
            names.add(raw.decode())
        else:
            confirm_key_of(ring, bytes.fromhex(seal))
            logger.error("integrity_violation: the row seal of a scope does not match")
    return frozenset(names)
