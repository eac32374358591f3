"""The application that the server runs. A process with a wrong configuration does not start."""

import os

import django
from django.core.handlers.wsgi import WSGIHandler

from keyportal.http_server.service_manager import service_manager
from keyportal.process_environment import forget_environment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keyportal.settings")
django.setup(set_prefix=False)

# Models can be imported only after django.setup().
from keyportal.databases import set_query_timeouts  # noqa: E402
from keyportal.http_server.server import HTTPServer  # noqa: E402
from keyportal.local.private_files import PrivateConnection  # noqa: E402
from keyportal.periodic_tasks import add_periodic_tasks  # noqa: E402
from keyportal.startup import confirm_configuration, prepare_static_files  # noqa: E402

set_query_timeouts()
add_periodic_tasks()

confirm_configuration()
prepare_static_files()
django_application = WSGIHandler()  # it looks for static files when it is created
application = HTTPServer(django_application)
PrivateConnection.makes_files = False
service_manager.take_address(os.environ)
forget_environment(os.environ)
