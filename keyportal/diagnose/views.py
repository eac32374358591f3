"""The page that tells clients what reached the portal of their own request."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from keyportal.diagnose.diagnosis import diagnosis_of

PLAIN = "text/plain; charset=utf-8"


@csrf_exempt  # so that another method gets 405, not a complaint about a form
@require_safe
def diagnose(request: HttpRequest) -> HttpResponse:
    """Show what reached the portal of this request: as JSON or a page if the client asks for one, else as plain text.

    The Accept header is searched, not parsed, because a client in trouble must get an answer whatever it sends.
    """
    shown = diagnosis_of(request)
    accepted = request.META.get("HTTP_ACCEPT", "").lower()
    if "json" in accepted:
        return JsonResponse(shown.members(), json_dumps_params={"ensure_ascii": False})
    if "text/html" in accepted:
        return TemplateResponse(request, "diagnose/page.html", {"shown": shown})
    return HttpResponse(render_to_string("diagnose/page.txt", {"shown": shown}), content_type=PLAIN)
