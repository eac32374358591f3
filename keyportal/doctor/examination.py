"""Run the examinations, so that one that fails hides none of the others."""

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ssl import SSLCertVerificationError
from typing import Final

from django.db import Error as DatabaseError

from keyportal.doctor import accounts, configuration, database, host, mail, shared_counter, tasks, versions
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

FAILED = problem(
    "not_examined",
    meaning="What this examination looks at may be well or not.",
    advice="Mend the other findings first. If it remains, report it: the log has the frames.",
)


def examine_inside() -> list[Finding]:
    """Return what is found in the settings, the database, the services and on this host."""
    with ThreadPoolExecutor(len(WAITING)) as threads:
        waiting = [threads.submit(_findings, examination) for examination in WAITING]
        found = [finding for examination in HERE for finding in _findings(examination)]
        return [*found, *(finding for one in waiting for finding in one.result())]


def examine_outside(site: Site) -> list[Finding]:
    """Return what is found at the public address, as clients reach it from this host."""
    return list(_outside(site))


def _outside(site: Site) -> Iterator[Finding]:
    for examination in OUTSIDE:
        try:
            yield from list(examination(site))
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
    name = examination.__module__.removeprefix("keyportal.doctor.")
    return FAILED.found(f"The examination of {name} failed: {in_short(error)}.")
