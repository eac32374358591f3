"""Lists by cursor: a page goes on after the last item of the one before, so that new items move nothing.

A cursor is signed for its caller and its list: another caller's, another list's and a forged one are refused.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.core import signing
from django.db.models import Model, Q, QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from credentials.json_body import unknown_members

DEFAULT_LIMIT: Final = 25
MAX_LIMIT: Final = 100
MAX_CURSOR: Final = 500
PARAMETERS: Final = ("limit", "cursor")


def query_of(request: Request, *known: str) -> dict[str, str]:
    """Return the query's parameters, each at most once. Raises `ValidationError` for another one."""
    query = request.query_params
    errors: dict[str, Any] = unknown_members(query, known, what="parameter")
    errors |= {name: ["Send this once."] for name in known if len(query.getlist(name)) > 1}
    if errors:
        raise ValidationError(errors)
    return query.dict()


def page_of(
    rows: QuerySet[Any], query: Mapping[str, str], *, time: str, of: str, to_json: Callable[[list[Any]], list[Any]]
) -> dict[str, Any]:
    """Return one page of rows that are ordered by a time and their id, newest first: `{items, next}`.

    `time` is the column, and `of` names caller and list. Raises `ValidationError` for what is no limit or cursor.
    """
    limit = _limit(query.get("limit", ""))
    if "cursor" in query:
        at, pk = _read(query["cursor"], of)
        rows = rows.filter(Q(**{f"{time}__lt": at}) | Q(**{time: at, "pk__lt": pk}))
    found = list(rows[: limit + 1])
    page = found[:limit]
    return {"items": to_json(page), "next": _cursor(page[-1], time, of) if len(found) > limit else None}


def _limit(text: str) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        raise ValidationError({"limit": [f"Send a number from 1 to {MAX_LIMIT}."]})
    return int(text)


def _cursor(row: Model, time: str, of: str) -> str:
    return signing.dumps([getattr(row, time).isoformat(), row.pk], salt=_salt(of))


def _read(cursor: str, of: str) -> tuple[Any, Any]:
    try:
        at, pk = signing.loads(cursor[:MAX_CURSOR], salt=_salt(of))
    except signing.BadSignature as error:
        raise ValidationError({"cursor": ["Send the “next” of a page of this list."]}) from error
    return parse_datetime(at), pk


def _salt(of: str) -> str:
    return f"keyportal.cursor:{of}"
