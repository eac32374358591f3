"""The scope catalogue as part of another query: a scope that leaves the catalogue leaves every key at once."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Aggregate, CharField, Subquery, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.sql.compiler import SQLCompiler

from credentials.models import Scope


class JoinedNames(Aggregate):
    """The names of a group in one text, separated by spaces."""

    function = "STRING_AGG"
    template = "%(function)s(%(expressions)s, ' ')"
    output_field = TextField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        """Say it in SQLite's words."""
        return self.as_sql(compiler, connection, function="GROUP_CONCAT", **context)


def catalogue() -> Combinable:
    """Give an expression: the names of all scopes, separated by spaces; null if there is none."""
    every = Value(1, output_field=CharField())
    return Subquery(
        Scope.objects.order_by()
        .annotate(every=every)
        .values("every")
        .annotate(names=JoinedNames("name"))
        .values("names")
    )
