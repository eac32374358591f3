"""A failover of PostgreSQL, and an upgrade that is rolled back: runbooks of docs/operations.md, carried out."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from psycopg import connect

from tests.keyportal.runbooks import Operator, Step, runbook
from tests.keyportal.test_outage_runbooks import make_key, status_of
from tests.portal import ROOT, Portal
from tests.project_copy import copy_project
from tests.standby import standby_of
from tests.waiting import DEADLINE, wait_until
from tests.with_postgres import Cluster, binary, postgres_cluster

pytestmark = pytest.mark.drill
NEWER: Final = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("apikeys", {last!r})]
    operations = [migrations.AddField("apikey", "colour", models.CharField(max_length=9, default="", db_default=""))]
"""


def test_the_database_fails_over(tmp_path: Path) -> None:
    with postgres_cluster() as primary, standby_of(primary) as standby:
        portal = Portal(tmp_path, primary.url)
        portal.command("migrate", "--verbosity=0")
        both = primary.url.replace(f":{primary.port}", f":{primary.port},127.0.0.1:{standby.port}")
        portal.environment["DATABASE_URL"] = f"{both}?target_session_attrs=read-write"
        portal.start(workers=1)
        try:
            _fail_over(Operator(portal, STANDBY=standby.url), primary)
        finally:
            portal.stop()


def _fail_over(operator: Operator, primary: Cluster) -> None:
    portal = operator.portal
    secret = make_key(portal)
    seen = {status_of(portal, secret)}
    promote, see = runbook("The database fails over")
    primary.stop()
    wait_until(lambda: status_of(portal, secret) == 503)
    operator.carry_out(promote)

    def is_back() -> bool:
        seen.add(status := status_of(portal, secret))
        return status == 200

    wait_until(is_back)
    assert seen <= {200, 503}
    operator.carry_out(see)
    portal.revoke_key(portal.shell("print(APIKey.objects.get().pk)"))
    assert status_of(portal, secret) == 401


def test_upgrade_and_roll_back(tmp_path: Path) -> None:
    """The new version is a copy of the project with one migration more."""
    before, new = tmp_path / "before", copy_project(tmp_path / "new")
    before.mkdir()
    last = max(file.stem for file in (ROOT / "apikeys/migrations").glob("0*.py"))
    (new / "apikeys/migrations/9999_newer.py").write_text(NEWER.format(last=last))
    with postgres_cluster() as cluster, Portal(tmp_path, cluster.url).running(workers=1) as portal:
        secret = make_key(portal)
        copy, migrate, undo = runbook("Upgrade and roll back")
        _run(copy, portal, ROOT, before)
        _run(migrate, portal, new, before)
        assert status_of(portal, secret) == 200  # the former version goes on with the newer tables
        portal.make_key("outage@example.com")
        refused = portal.start_command("check", "--database", "default")
        assert "keyportal.E043" in refused.stderr
        _run(undo, portal, new, before, APP="apikeys", MIGRATION=last)
        assert f"[X]  apikeys.{last}" in (before / "applied").read_text()
        assert portal.start_command("check", "--database", "default").returncode == 0
        with closing(connect(cluster.url)) as database:
            columns = database.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = 'apikeys_apikey'"
            )
            assert ("colour",) not in columns.fetchall()
        assert (before / "portal.dump").stat().st_size > 0
        assert status_of(portal, secret) == 200


def _run(step: Step, portal: Portal, project: Path, before: Path, **names: str) -> None:
    """Carry out a step with the code of a project: each command is a process of its own."""
    programs = f"{Path(sys.executable).parent}:{Path(binary('pg_dump')).parent}"
    environment = {**portal._whole_environment(), "PYTHONPATH": "", "PATH": f"{programs}:{os.environ['PATH']}"}
    names |= {"BEFORE": str(before), "DATABASE": portal.environment["DATABASE_URL"]}
    ended = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", step.commands],
        cwd=project,
        env={**environment, **names},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert ended.returncode == 0, ended.stderr
