"""A standby of a PostgreSQL of the tests' own, which a test may promote."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.with_postgres import Cluster, binary


@contextmanager
def standby_of(primary: Cluster) -> Iterator[Cluster]:
    """Copy a running server and start the copy, which follows it; afterwards nothing is left of it."""
    folder = Path(tempfile.mkdtemp(prefix="keyportal-standby-"))
    if primary.user:
        shutil.chown(folder, primary.user)
    copy = Cluster(folder)
    copy.password = primary.password
    place = ["--pgdata", str(copy.data), "--host", "127.0.0.1", "--port", str(primary.port), "--username", "keyportal"]
    try:
        subprocess.run(
            [binary("pg_basebackup"), *place, "--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream"],
            env={**os.environ, "PGPASSWORD": primary.password},
            user=primary.user,
            cwd=folder,
            check=True,
        )
        copy.start()
        yield copy
    finally:
        copy.stop()
        shutil.rmtree(folder)
