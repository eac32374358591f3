"""The spans: one for each request that Django answers, for each verdict in a thread, and for each of their queries.

Written by hand: the packages that instrument Django and psycopg put addresses, queries and headers into attributes.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace import Tracer as OpenTelemetryTracer

from audit.client_address import is_trusted_proxy, parse_address
from gateway import forward_auth
from keyportal.http.middleware import METHODS
from keyportal.http_server.environ import PEER, REQUEST_ID, ROUTE
from keyportal.http_server.request import Request, Sender
from keyportal.http_server.response import Response
from keyportal.tracing.context import parent_of

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
Verdict = Callable[[Request, Sender, Any], Response | None]

OPERATIONS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "SET")
SYSTEMS: Final = {"postgresql": "postgresql", "sqlite": "sqlite"}
_TABLE: Final = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+"?(\w+)"?')
_PARENTHESES: Final = re.compile(r"\([^()]*\)")
CODE: Final = "X-Keyportal-Code"
NO_ROUTE: Final = "(no route)"


class Tracer:
    """Makes the spans of this process."""

    def __init__(self, tracer: OpenTelemetryTracer) -> None:
        self._tracer = tracer
        self._tables = frozenset(model._meta.db_table for model in apps.get_models())
        connection_created.connect(self._on_connection_created)

    def traced_application(self, application: Application) -> Application:
        """Return a WSGI application with a span for each request."""

        def traced(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            is_trusted = is_trusted_proxy(parse_address(environ[PEER]))
            parent = parent_of(environ.get("HTTP_TRACEPARENT"), is_trusted=is_trusted)
            statuses: list[int] = []

            def noting(status: str, headers: Any, exc_info: Any = None) -> Any:
                statuses.append(int(status[:3]))
                return start_response(status, headers, exc_info)

            method = _known(environ["REQUEST_METHOD"])
            with self._server_span(method, environ[REQUEST_ID], parent) as span:
                result = application(environ, noting)
                _finish(span, method, environ.get(ROUTE, NO_ROUTE), statuses[-1] if statuses else 0)
                return result

        return traced

    def traced_verdict(self, verdict: Verdict) -> Verdict:
        """Return the function that answers a verdict in a thread, with a span for each."""

        def traced(request: Request, sender: Sender, respond: Any) -> Response | None:
            parent = parent_of(request.header_value(b"traceparent"), is_trusted=request.is_trusted)
            method = _known(request.method)
            with self._server_span(method, sender.request_id, parent) as span:
                response = verdict(request, sender, respond)
                is_gateway = forward_auth.is_forward_auth(request.path)
                if response is not None:
                    route, outcome = (forward_auth.PATH, _outcome(response)) if is_gateway else (request.path, "")
                    _finish(span, method, route, int(response.status), outcome)
                return response

        return traced

    @contextmanager
    def _server_span(self, method: str, request_id: str, parent: Context) -> Iterator[Span]:
        attributes = {"http.request.method": method, "keyportal.request_id": request_id}
        with self._span(method, SpanKind.SERVER, attributes, parent) as span:
            yield span

    @contextmanager
    def _span(
        self, name: str, kind: SpanKind, attributes: Mapping[str, str], parent: Context | None = None
    ) -> Iterator[Span]:
        """Begin a span, and end it. Of an error it keeps the class alone: its text may hold anything."""
        with self._tracer.start_as_current_span(
            name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except Exception as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(Status(StatusCode.ERROR))
                raise

    def _on_connection_created(self, *, connection: BaseDatabaseWrapper, **signal: object) -> None:
        if self._trace_query not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._trace_query)

    def _trace_query(self, execute: Any, sql: Any, parameters: Any, many: bool, context: Mapping[str, Any]) -> Any:
        """Run a query in a span, within a request that is traced. Neither its text nor its parameters are kept."""
        if not get_current_span().is_recording():
            return execute(sql, parameters, many, context)
        operation, table = described(str(sql))
        table = table if table in self._tables else ""  # whatever a query holds, only these are told
        attributes = {"db.system.name": SYSTEMS[context["connection"].vendor], "db.operation.name": operation}
        if table:
            attributes["db.collection.name"] = table
        with self._span(" ".join(filter(None, (operation, table))), SpanKind.CLIENT, attributes):
            return execute(sql, parameters, many, context)


@lru_cache(maxsize=512)
def described(sql: str) -> tuple[str, str]:
    """Return what a query does, by a word of a list, and the first table of its outermost part."""
    operation = sql.lstrip("( \n").partition(" ")[0].upper()
    outermost, inner = sql, ""
    while outermost != inner:
        outermost, inner = _PARENTHESES.sub("", outermost), outermost
    match = _TABLE.search(outermost)
    return (operation if operation in OPERATIONS else "OTHER"), match[1] if match else ""


def _finish(span: Span, name: str, route: str, status: int, outcome: str = "") -> None:
    if not span.is_recording():
        return
    span.update_name(f"{name} {route}")
    span.set_attributes({"http.route": route, "http.response.status_code": status})
    if outcome:
        span.set_attribute("keyportal.outcome", outcome)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.set_status(Status(StatusCode.ERROR))


def _known(method: str) -> str:
    return method if method in METHODS else "_OTHER"


def _outcome(response: Response) -> str:
    """Return what a gateway is told: a refusal's code, that the credential is accepted, or else nothing."""
    accepted = "accepted" if response.status == HTTPStatus.OK else ""
    return next((value for name, value in response.headers if name == CODE), accepted)
