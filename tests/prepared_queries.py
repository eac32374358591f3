"""Prepared queries in tests that count what a module does: a process compiles each of them only once."""

from types import ModuleType

from credentials.verdict_query.prepared import PreparedQuery


def compile_anew(module: ModuleType) -> None:
    """Have the queries of a module compiled again at their next use, by whichever test that is."""
    for query in vars(module).values():
        if isinstance(query, PreparedQuery):
            query._compiled.cache_clear()
