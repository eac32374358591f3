"""The WSGI application. A process with a wrong configuration does not start."""

import os
import sys

from django.core.checks import ERROR, run_checks
from django.core.wsgi import get_wsgi_application
from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseError

from keyportal.environment import forget_environment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keyportal.settings")
django_application = get_wsgi_application()

# Models can be read once Django is set up.
from accounts.trail import EVERY, extend_now_and_then  # noqa: E402
from credentials.database_file import never_make_a_file  # noqa: E402
from credentials.patience import limit_waiting  # noqa: E402
from credentials.usage import Chore, flusher  # noqa: E402
from gateway.forward_auth import with_forward_auth  # noqa: E402
from keyportal.entrance import with_readable_content_type  # noqa: E402
from keyportal.numbers import shelf  # noqa: E402
from tokens.housekeeping import LOOK, now_and_then  # noqa: E402

application = with_forward_auth(with_readable_content_type(django_application))
limit_waiting()
flusher.chores += [
    Chore(shelf.leave, every=0, at_exit=True),
    Chore(now_and_then, every=LOOK, at_exit=False),
    Chore(extend_now_and_then, every=EVERY, at_exit=False),
]

errors = [message for message in run_checks(tags=["keyportal"]) if message.level >= ERROR]
try:
    errors += [message for message in run_checks(tags=["database"], databases=["default"]) if message.level >= ERROR]
except DatabaseError as error:
    # It may come up later: until the rings are known to fit, every answer but /healthz is 503.
    print(f"keyportal: the database can't be asked yet ({type(error).__name__})", file=sys.stderr)
if errors:
    sys.exit(
        "\n".join(f"keyportal does not start: {message.id} {message.msg} {message.hint or ''}" for message in errors)
    )

never_make_a_file(connections[DEFAULT_DB_ALIAS])
forget_environment(os.environ)
