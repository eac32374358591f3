"""Run the examinations, so that one that fails hides none of the others."""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from ssl import SSLCertVerificationError
from typing import Final

from django.db import Error as DatabaseError

from keyportal.doctor import accounts, configuration, database, host, mail, shared_counter, tasks, versions
from keyportal.doctor.deadline import begin
from keyportal.doctor.findings import KINDS, Examination, Finding, problem
from keyportal.doctor.outside import encryption, proxy, reach
from keyportal.doctor.outside.site import Site
from keyportal.doctor.unreadable import UNREADABLE
from keyportal.errors.redacted_errors import in_short

logger = logging.getLogger(__name__)

__all__ = ("KINDS", "UNREADABLE", "examine_inside", "examine_outside")
"""The kinds are complete only once all modules that declare some are imported, as they are here."""

HERE: Final[tuple[Examination, ...]] = (
    configuration.examine,
    database.examine,
    tasks.examine,
    accounts.examine,
    host.examine,
    versions.examine,
)
WAITING: Final[tuple[Examination, ...]] = (mail.examine, shared_counter.examine)
"""Those that may wait for another server, and use no database."""
OUTSIDE: Final[tuple[Callable[[Site], Iterable[Finding]], ...]] = (reach.examine, encryption.examine, proxy.examine)

ENDING: Final = frozenset((reach.NOT_THE_PORTAL.code, reach.UNREACHABLE.code))
SERVICE_WITHIN: Final = 6.0
OUTSIDE_WITHIN: Final = 60.0
"""Seconds."""
FAILED = problem(
    "not_examined",
    meaning="What this examination looks at may be well or not.",
    advice="Mend the other findings first. If it remains, report it: the log has the frames.",
)


def examine_inside() -> list[Finding]:
    """Return what is found in the settings, the database, the services and on this host."""
    waiting = {examination: begin(partial(_findings, examination)) for examination in WAITING}
    found = [finding for examination in HERE for finding in _findings(examination)]
    for examination, future in waiting.items():
        try:
            found += future.result(timeout=SERVICE_WITHIN)
        except TimeoutError:
            found.append(FAILED.found(f"The examination of {_name(examination)} did not end in time."))
    return found


def examine_outside(site: Site, *, within: float = OUTSIDE_WITHIN) -> list[Finding]:
    """Return what is found at the public address, as clients reach it from this host, in so many seconds."""
    found: list[Finding] = []
    future = begin(lambda: found.extend(_outside(site)))
    try:
        future.result(timeout=within)
    except TimeoutError:
        return [reach.UNREACHABLE.found("The address answers too slowly to be examined.")]
    return found


def _outside(site: Site) -> Iterator[Finding]:
    for examination in OUTSIDE:
        try:
            found = list(examination(site))
            yield from found
            if any(finding.code in ENDING for finding in found):
                return  # whatever answers there, more questions tell nothing of the portal
        except SSLCertVerificationError as error:
            yield encryption.CERTIFICATE.found(f"The certificate is refused: {error.verify_message}.")
            return
        except OSError as error:
            yield reach.UNREACHABLE.found(f"The address can't be reached: {in_short(error)}.")
            return
        except Exception as error:
            logger.exception("an examination failed: %s", examination.__module__)
            yield _failure(examination, error)


def _findings(examination: Examination) -> list[Finding]:
    """Return what an examination finds, up to where it fails."""
    found: list[Finding] = []
    try:
        for finding in examination():
            found.append(finding)  # noqa: PERF402  # what came before a failure counts
    except DatabaseError:
        if not any(one.code == database.AWAY.code for one in found):
            logger.info("an examination needs the database: %s", examination.__module__)
    except Exception as error:
        logger.exception("an examination failed: %s", examination.__module__)
        found.append(_failure(examination, error))
    return found


def _failure(examination: Callable[..., object], error: Exception) -> Finding:
    return FAILED.found(f"The examination of {_name(examination)} failed: {in_short(error)}.")


def _name(examination: Callable[..., object]) -> str:
    return examination.__module__.removeprefix("keyportal.doctor.")
