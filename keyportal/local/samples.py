"""What the styleguide shows in its components: made up, and never written to the database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django import forms
from django.core.paginator import Page, Paginator
from django.utils import timezone

from accounts.view_models import ByWhom
from apikeys.models import APIKey
from apikeys.network_evidence import Suggestion
from apikeys.pages import key_status
from apikeys.pages.charts import Chart, chart_of
from apikeys.pages.key_status import KeyStatus
from apikeys.pages.network_view_models import SuggestionRow
from apikeys.pages.snippets import Snippet, snippets
from apikeys.pages.timeline import TimelineEntry
from apikeys.pages.view_models import KeyRow
from apikeys.usage import CallSeries, Interval, Unit
from audit.client_address import parse_network
from keyportal.api_reference.description import Operation, groups

SECRET: Final = "kp_test_ThisIsNoSecretItOnlyShowsWhatOneLooksLikeOK"  # noqa: S105  # its checksum is wrong
KEY_ID: Final = "key_0000000000000000000000"
NAMES: Final = ("billing server", "CI", "reports of the night")
STATUSES: Final = (
    key_status.ACTIVE,
    key_status.ROTATING,
    key_status.PAUSED,
    key_status.EXPIRES_SOON,
    key_status.MANY_REFUSALS,
    key_status.REVOKED,
)


class SampleForm(forms.Form):
    """A field of each kind. Bound without data, each required one has an error."""

    name = forms.CharField(max_length=100, help_text="Where you'll use it, such as “billing server” or “CI”.")
    environment = forms.ChoiceField(choices=[("live", "Live"), ("test", "Test")], widget=forms.RadioSelect)
    expiry = forms.ChoiceField(choices=[("never", "Never"), ("date", "On a date")], label="Expires")
    expiry_date = forms.DateField(label="Date (UTC)", widget=forms.DateInput(attrs={"type": "date"}))
    networks = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 3}), help_text="One address or network per line."
    )
    show_once = forms.BooleanField(label="Show the secret once", help_text="It can't be revealed later.")
    address = forms.EmailField(required=False, disabled=True, initial="dev@example.com", label="Can't be changed")

    has_field_errors = True


class Samples(NamedTuple):
    """The context of the page."""

    form: SampleForm
    form_with_errors: SampleForm
    rows: list[KeyRow]
    statuses: Sequence[KeyStatus]
    chart: Chart
    timeline: list[TimelineEntry]
    suggestions: list[SuggestionRow]
    operation: Operation
    page: Page[Any]
    secret: str
    snippets: list[Snippet]
    at: datetime
    command: str = 'curl -H "Authorization: Bearer $API_KEY" https://portal.example.com/api/v1/me'
    masked: bool = True
    created: bool = True
    kept: bool = True
    is_sample: bool = True


def samples() -> Samples:
    """Return what the components show."""
    now = timezone.now()
    return Samples(
        form=SampleForm(auto_id="form-%s"),
        form_with_errors=SampleForm({}, auto_id="errors-%s"),
        rows=[_row(name, status, now) for name, status in zip(NAMES, STATUSES, strict=False)],
        statuses=STATUSES,
        chart=_chart(now),
        timeline=_timeline(now),
        suggestions=_suggestions(),
        operation=_operation(),
        page=Paginator(range(70), 25).page(2),
        secret=SECRET,
        snippets=snippets(),
        at=now,
    )


def _row(name: str, status: KeyStatus, now: datetime) -> KeyRow:
    expires_at = now + timedelta(days=6) if status.expires_soon else None
    key = APIKey(pk=KEY_ID, name=name, environment="live", expires_at=expires_at, created_at=now)
    last_used_at = now if status.is_active else None
    return KeyRow(key, status, ["kp_live_…3f8a"], ["reports:read", "reports:write"], 2, _chart(now), last_used_at)


def _operation() -> Operation:
    """Return an operation that takes a body, without the button that tries it out."""
    operations = (operation for group in groups() for operation in group.operations)
    return next(operation for operation in operations if operation.has_body)._replace(can_be_tried=False)


def _suggestions() -> list[SuggestionRow]:
    shares = (("203.0.113.0/29", 5, "80 %", False), ("198.51.100.7", 1, "20 %", True))
    return [
        SuggestionRow(Suggestion(parse_network(text), addresses, addresses, share), text, is_listed)
        for text, addresses, share, is_listed in shares
    ]


def _chart(now: datetime) -> Chart:
    days = [now - timedelta(days=29 - place) for place in range(30)]
    calls = [(place * 7) % 23 for place in range(30)]
    intervals = (Interval(day, count, count // 9) for day, count in zip(days, calls, strict=True))
    return chart_of(CallSeries(Unit.DAY, tuple(intervals)))


def _timeline(now: datetime) -> list[TimelineEntry]:
    me, operator = ByWhom("by you", "203.0.113.7"), ByWhom("by an operator", None)
    return [
        TimelineEntry("Secret revealed", "", "", "", me, now),
        TimelineEntry("Key changed", "scopes", "", "scopes", operator, now - timedelta(hours=3)),
        TimelineEntry("Key paused", "", "moved to another server", "", me, now - timedelta(days=2)),
        TimelineEntry("Key created", "", "", "", me, now - timedelta(days=40)),
    ]
