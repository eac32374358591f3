"""Drafts keep what a user typed when a log-in interrupted them, on the server, until the form is shown again.

A draft is stored in the session. It holds the fields that the form declares (`accounts.way_back`) and nothing else of
the request. It is shown once, within an hour, at the form's own address, and only to the user who typed it.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from django.forms import BaseForm
from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict

from accounts.attempts import AttemptLimit
from accounts.browser_users import users_of_browser
from accounts.places import bucket_of
from accounts.way_back import WayBack, page_of, way_back_of

KEY: Final = "keyportal_draft"
MAX_BYTES: Final = 16 * 1024  # of all drafts of a session
MAX_BYTES_OF_ONE: Final = 15 * 1024
LIFETIME: Final = 3600  # seconds
LIMIT: Final = AttemptLimit("drafts of an address", fixed="60 per hour")
LOOKS_SECRET: Final = re.compile(r"_(?:live|test|refresh)_[0-9A-Za-z]{40}|\beyJ[\w-]{10,}\.[\w-]{10,}\.")
"""A credential pasted into the wrong field: the portal's, another service's, or a signed token."""


class Why(StrEnum):
    """Why a POST was not carried out. The value begins the message on the page after the log-in."""

    SIGNED_OUT = "You were signed out."
    NOT_FRESH = "You were asked to confirm it's you."
    STALE = "The page was out of date."
    LIMITED = "There were too many attempts."
    SUSPENDED = "No new credentials were issued at that moment."


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One POST that was not carried out."""

    path: str
    """The path of the form's page."""
    why: str
    press: str
    fields: Mapping[str, list[str]]
    author: str
    """The id of the user who typed it; empty if no user had ever logged in in that browser."""
    at: float

    @property
    def has_text(self) -> bool:
        """Whether the draft holds any text."""
        return any(self.fields.values())

    def first(self, name: str) -> str:
        """Return the first value of a field; empty if it has none."""
        return next(iter(self.fields.get(name, ())), "")

    def belongs_to(self, request: HttpRequest) -> bool:
        """Return whether the current user may see it: its author, or any user if it has none."""
        if request.user.is_authenticated:
            return self.author in ("", request.user.pk)
        return self.author in ("", *users_of_browser(request)[:1])

    def message(self, *, typed: bool) -> str:
        """Return the message for the page: what happened, whether the text is back, and which button to press again."""
        state = "What you typed is still here but has not been sent." if typed else "Nothing has been done yet."
        return f"{self.why} {state} Press {f'“{self.press}”' if self.press else 'the button'} again."


def save_draft(request: HttpRequest, why: Why, *, stale: bool = False) -> Draft | None:
    """Save the keepable fields of the POST and the name of its button. Return the draft, or None if none is saved.

    `stale` means that the form's CSRF token did not match. Then the author is unknown, unless only one user has ever
    logged in in this browser.
    """
    author = _author(request, stale=stale)
    if author is None or not _within_limit(request):
        return None
    back = way_back_of(request)
    path = urlsplit(page_of(request)).path
    fields = _keepable_fields(request, back)
    draft = Draft(path=path, why=why, press=back.press, fields=fields, author=author, at=time.time())
    drafts = _load_drafts(request)
    if draft.has_text or all(other.path != path for other in drafts):  # a bare button does not replace text
        drafts = [*(other for other in drafts if other.path != path), draft]
    _store(request, drafts)
    return draft


def pop_draft(request: HttpRequest) -> Draft | None:
    """Return the draft for this page, once. Old drafts and other users' are dropped, whatever the page."""
    if KEY not in request.session:
        return None
    drafts = [
        draft for draft in _load_drafts(request) if time.time() - draft.at < LIFETIME and draft.belongs_to(request)
    ]
    of_page = [draft for draft in drafts if draft.path == request.path]
    _store(request, [draft for draft in drafts if draft.path != request.path])
    return of_page[-1] if of_page else None


def _load_drafts(request: HttpRequest) -> list[Draft]:
    # A session may be older than this code: drafts of another shape are dropped.
    return [Draft(**row) for row in request.session.get(KEY, ()) if row.keys() == Draft.__dataclass_fields__.keys()]


def _store(request: HttpRequest, drafts: Sequence[Draft]) -> None:
    """Store the drafts in the session, dropping the oldest until they fit together."""
    rows = [asdict(draft) for draft in drafts]
    while rows and len(json.dumps(rows)) > MAX_BYTES:
        rows.pop(0)
    if rows:
        request.session[KEY] = rows
    else:
        request.session.pop(KEY, None)


def fill_in(form: BaseForm, draft: Draft) -> bool:
    """Fill the draft into an unbound form. Return whether it holds anything for this form."""
    sent = MultiValueDict({name: values for name, values in draft.fields.items() if values})
    names = [name for name in draft.fields if name in form.fields]
    if form.is_bound or not sent or not names:
        return False
    for name in names:
        form.initial[name] = form.fields[name].widget.value_from_datadict(sent, MultiValueDict(), name)
    return True


def _author(request: HttpRequest, *, stale: bool) -> str | None:
    """Return the id of the user who typed a POST; empty if none ever logged in here, None if that is unknown.

    A valid CSRF token was issued after this browser's last log-in, so the page is that user's.
    """
    known = users_of_browser(request)
    if stale and len(known) > 1:
        return None
    if request.user.is_authenticated and not stale:
        return str(request.user.pk)
    return known[0] if known else ""


def _within_limit(request: HttpRequest) -> bool:
    """Count a draft of an anonymous client, because it creates a row; return whether it is within the limit."""
    if request.user.is_authenticated:
        return True
    return LIMIT.hit(bucket_of(request)) == 0


def _keepable_fields(request: HttpRequest, back: WayBack) -> dict[str, list[str]]:
    """Return the declared fields that hold no secret; nothing if they are too long together."""
    fields = {name: request.POST.getlist(name) for name in back.keepable}
    fields = {name: values for name, values in fields.items() if not any(map(LOOKS_SECRET.search, values))}
    return fields if len(json.dumps(fields)) <= MAX_BYTES_OF_ONE else {}
