"""“Find a credential” in the admin site: show what a pasted text belongs to, and end it after confirmation.

The text arrives by POST and never appears in a URL, a response, a log line or the database. The form that ends a
credential sends back a signed target with public ids (`tokens.search_actions.Target`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import quote
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from accounts.models import User
from accounts.operators import operator_of
from accounts.rights import ActionRefusedError, may_act_on
from apikeys.models import APIKey
from apikeys.names import clean_reason
from audit.origin import Origin
from tokens.models import TokenFamily
from tokens.pasted import MAX_LENGTH
from tokens.search import search, trace_id
from tokens.search_actions import Target, end
from tokens.traces import FAMILY, KEY, Fact, Finding

FIND: Final = "admin:tokens_tokenfamily_find"
VIEW_PERMISSIONS: Final = ("apikeys.view_apikey", "tokens.view_tokenfamily", "accounts.view_user")
REASON: Final = "ended by an operator"
HIDDEN: Final = "It was found, but you don't have permission to see what it belongs to."


class VisibleFact(NamedTuple):
    """One line of a finding."""

    label: str
    text: str
    url: str
    """The page of what the line names; empty if there is none for this operator."""


@dataclass(frozen=True, slots=True)
class VisibleFinding:
    """A finding as this operator may see it."""

    finding: Finding
    facts: list[VisibleFact]
    target: str = ""
    """The signed target that the form sends back; empty if there is nothing to end, or not by this operator."""
    why_not: str = ""
    errors: Sequence[str] = ()
    """What is wrong with the reason that the operator gave."""


@sensitive_variables("text")
def find(site_page: ModelAdmin, request: HttpRequest) -> HttpResponse:  # type: ignore[type-arg]  # not generic at run time
    """Show the form; after a POST also the findings."""
    if request.method != "POST":
        return _page(site_page, request)
    text = request.POST.get("credential", "")
    result = search(text, origin=Origin.of_request(request))
    visible = [finding for finding in result.findings if _has_right(request, "view", finding.model)]
    sentence = result.sentence if len(visible) == len(result.findings) else f"{result.sentence} {HIDDEN}".strip()
    shown = [_make_visible(request, finding, alone=len(result.findings) == 1) for finding in visible]
    return _page(site_page, request, found=shown, sentence=sentence, others=result.others, searched=True)


def end_finding(site_page: ModelAdmin, request: HttpRequest) -> HttpResponse:  # type: ignore[type-arg]  # as above
    """End the target that the form names, with its reason, then show what was ended."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        target = Target.of_form(request.POST.get("target", ""))
    except signing.BadSignature:
        messages.error(request, "This form has expired. Look up the credential again.")
        return redirect(FIND)
    model, pk, owner = _owner_of(target)
    _refuse_unless_allowed(request, target, model, owner)
    try:
        reason = clean_reason(request.POST.get("reason", "")) or REASON
    except ValidationError as error:
        found = [_make_visible(request, finding, alone=True, errors=error.messages) for finding in trace_id(target.id)]
        return _page(site_page, request, found=found, searched=True, status=400)
    done = end(target, reason=reason, origin=Origin.of_request(request))
    messages.success(request, "Ended. The next call is refused." if done else "It had already ended.")
    return redirect(_link(request, Fact("", "", model, pk)) or FIND)


def _page(site_page: Any, request: HttpRequest, *, status: int = 200, **found: object) -> HttpResponse:
    context = {
        **site_page.admin_site.each_context(request),
        "title": "Find a credential",
        "longest": MAX_LENGTH,
        **found,
    }
    return TemplateResponse(request, "admin/tokens/find.html", {**context, "opts": site_page.opts}, status=status)


def _make_visible(request: HttpRequest, finding: Finding, *, alone: bool, errors: Sequence[str] = ()) -> VisibleFinding:
    facts = [VisibleFact(fact.label, fact.text, _link(request, fact)) for fact in finding.facts]
    if finding.target is None or not alone:
        return VisibleFinding(finding, facts, why_not="" if alone else "To end it, look it up by its id.")
    if not _has_right(request, "change", finding.model):
        return VisibleFinding(finding, facts, why_not="You don't have permission to end it.")
    if not may_act_on(operator_of(request), finding.owner):
        return VisibleFinding(finding, facts, why_not="You can't end it, because its owner has more rights than you.")
    return VisibleFinding(finding, facts, target=finding.target.signed, errors=errors)


def _owner_of(target: Target) -> tuple[str, str, User | None]:
    """Return the model and id of the object that the target belongs to, and its owner."""
    if target.kind == "family":
        family = TokenFamily.objects.select_related("user").filter(pk=target.id).first()
        return FAMILY, target.id, family.user if family else None
    kind, _, subject_id = target.subject.partition(":")
    if kind == "user":
        return FAMILY, "", User.objects.filter(pk=subject_id).first()
    key = APIKey.objects.select_related("owner").filter(pk=subject_id or target.id).first()
    return KEY, subject_id or target.id, key.owner if key else None


def _refuse_unless_allowed(request: HttpRequest, target: Target, model: str, owner: User | None) -> None:
    """Raise `ActionRefusedError` if the operator lacks the permission, or has fewer rights than the owner."""
    if not (_has_right(request, "view", model) and _has_right(request, "change", model)):
        raise ActionRefusedError(f"end_{target.kind}", model)
    if not may_act_on(operator_of(request), owner):
        subject = f"user:{owner.pk}" if owner else ""
        raise ActionRefusedError(f"end_{target.kind}", model, subject=subject)


def _has_right(request: HttpRequest, right: str, model: str) -> bool:
    app, _, name = model.partition(".")
    return request.user.has_perm(f"{app}.{right}_{name}")


def _link(request: HttpRequest, fact: Fact) -> str:
    """Return the URL of the object that a fact names; empty if there is none or the operator may not see it."""
    if not (fact.model and fact.pk and _has_right(request, "view", fact.model)):
        return ""
    return reverse(f"admin:{fact.model.replace('.', '_')}_change", args=[quote(fact.pk)])
