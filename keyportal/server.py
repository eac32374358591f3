"""The application that the server runs. A process with a wrong configuration does not start."""

import os

import django
from django.core.handlers.wsgi import WSGIHandler

from keyportal.environment import forget_environment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keyportal.settings")
django.setup(set_prefix=False)

# Models can be imported only after django.setup().
from audit.chain import EVERY, extend_now_and_then  # noqa: E402
from credentials.usage.flusher import PeriodicTask, flusher  # noqa: E402
from credentials.verdict_query.query_timeout import limit_queries  # noqa: E402
from keyportal.databases import limit_statements  # noqa: E402
from keyportal.entrance.application import Entrance  # noqa: E402
from keyportal.private_files import PrivateConnection  # noqa: E402
from keyportal.startup import confirm_configuration, prepare_static_files  # noqa: E402
from keyportal.worker_files import worker_files  # noqa: E402
from tokens.housekeeping import LOOK, now_and_then  # noqa: E402

limit_statements()
limit_queries()
flusher.tasks += [
    PeriodicTask(worker_files.write_snapshot, every=0, at_exit=True),
    PeriodicTask(now_and_then, every=LOOK, at_exit=False),
    PeriodicTask(extend_now_and_then, every=EVERY, at_exit=False),
]

confirm_configuration()
prepare_static_files()
django_application = WSGIHandler()  # it looks for static files when it is created
application = Entrance(django_application)
PrivateConnection.makes_files = False
forget_environment(os.environ)
