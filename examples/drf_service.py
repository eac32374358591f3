"""A Django REST framework project in one file, whose reports need a key or token of the portal with `reports:read`.

    pip install './clients/python[drf]'
    KEYPORTAL_PORTAL=https://keys.example.com KEYPORTAL_KEY=kp_live_… python drf_service.py runserver

KEYPORTAL_KEY is the service's own key, with the scope `credentials:verify`. In a project of several files, the settings
are in settings.py.
"""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    SECRET_KEY=os.environ.get("SECRET_KEY") or os.urandom(32).hex(),
    KEYPORTAL_SERVICE="reports",
    REST_FRAMEWORK={
        "EXCEPTION_HANDLER": "keyportal_client.drf.exception_handler",
        "UNAUTHENTICATED_USER": None,  # this project has no accounts of its own
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],  # nor templates, for pages to browse
    },
)

from rest_framework.request import Request  # noqa: E402  # needs the settings
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from keyportal_client.drf import HasScope, KeyportalAuthentication  # noqa: E402


class ReportsView(APIView):
    """`GET`: the reports of the credential's owner."""

    authentication_classes = (KeyportalAuthentication,)
    permission_classes = (HasScope("reports:read"),)

    def get(self, request: Request) -> Response:
        """Return what belongs to the owner of the credential."""
        return Response({"reports": ["first", "second"], "owner": request.user.pk})


urlpatterns = [path("reports", ReportsView.as_view())]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
