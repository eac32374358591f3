"""PostgreSQL: the triggers that announce changes of what verdicts depend on to every listener.

`credentials.verified_cache.trigger_health` compares the database with them.

Every change is announced, whatever makes it: a page, the admin site, SQL by hand, a replicating session (ENABLE ALWAYS)
or another role (SECURITY DEFINER). The triggers are deferred constraint triggers: at commit, the first one raises the
change counter by one and so locks its row until the commit is done. Thus the numbers are in the order of the commits.
Each notification holds the number, a nonce (random for each number, so that a repeated number can be detected) and a
tag: `key:key_…`, or `*` if the record can't be named. A savepoint that is rolled back takes its number and
notifications with it.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from credentials.verified_cache.verdict_tables import VERDICT_TABLES, VerdictTable

CHANNEL: Final = "keyportal"
COUNTER: Final = "credentials_changecounter"

SETTINGS: Final = "search_path=pg_catalog, pg_temp"
"""The functions' setting: the search path of the role that makes a change could lead to a pg_notify of its own."""

# Changing what a function does requires a new name, because workers of the previous release rely on the old behaviour.
NOTIFY: Final = "keyportal_notify"
_NOTIFY_BODY: Final = """
DECLARE
    before jsonb; after jsonb; image jsonb; tag text; change text;
    this_one constant bigint := pg_current_xact_id()::text::bigint;
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        IF TG_OP <> 'INSERT' THEN before := to_jsonb(OLD) - TG_ARGV[2:]; END IF;
        IF TG_OP <> 'DELETE' THEN after := to_jsonb(NEW) - TG_ARGV[2:]; END IF;
        IF before = after THEN RETURN NULL; END IF;
    END IF;
    -- Who has raised it is in the row and not in a setting of the session, which any role can set. The time is there
    -- because a dump may be restored into a cluster where the transaction's number comes again.
    SELECT n || ' ' || nonce INTO change FROM {counter} WHERE raised_by = this_one AND raised_at = now();
    IF NOT FOUND THEN
        UPDATE {counter} SET n = n + 1, nonce = gen_random_uuid(), raised_by = this_one, raised_at = now()
        RETURNING n || ' ' || nonce INTO change;
    END IF;
    IF change IS NULL THEN change := '0 -'; END IF; -- no counter, no trust; but a revocation must still be possible
    IF TG_LEVEL = 'STATEMENT' OR TG_ARGV[0] = '' THEN
        PERFORM pg_notify('keyportal', change || ' *');
        RETURN NULL;
    END IF;
    FOREACH image IN ARRAY ARRAY[before, after] LOOP
        CONTINUE WHEN image IS NULL;
        tag := TG_ARGV[0] || ':' || (image ->> TG_ARGV[1]);
        IF tag IS NULL OR octet_length(tag) > 1000 THEN tag := '*'; END IF; -- a payload holds 8000 bytes
        PERFORM pg_notify('keyportal', change || ' ' || tag);
    END LOOP;
    RETURN NULL;
END
"""
GUARD: Final = "keyportal_guard"
_GUARD_BODY: Final = """
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id AND NEW.identity = OLD.identity AND NEW.n = OLD.n + 1 THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the change counter only goes up, one by one';
END
"""
BODIES: Final[Mapping[str, str]] = {NOTIFY: _NOTIFY_BODY, GUARD: _GUARD_BODY}

_BEGIN_TO_COUNT: Final = (
    f"INSERT INTO {COUNTER} (id, identity, n, nonce, raised_by) "  # noqa: S608  # a name of ours
    "VALUES (1, gen_random_uuid(), 0, '-', 0) ON CONFLICT DO NOTHING"
)

# pg_trigger.tgtype
_ROW, _BEFORE = 1, 2
_EVENTS: Final[Mapping[str, int]] = {"INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}


class Trigger(NamedTuple):
    """The definition of a trigger: what `pg_trigger` must say of it, and the SQL that creates it."""

    table: str
    name: str
    function: str
    events: tuple[str, ...]
    each_row: bool
    before: bool = False
    deferred: bool = False
    arguments: tuple[str, ...] = ()

    @property
    def type(self) -> int:
        """The value of `pg_trigger.tgtype`."""
        return sum(_EVENTS[event] for event in self.events) | self.each_row * _ROW | self.before * _BEFORE

    def statements(self) -> list[str]:
        """Return the SQL statements that create the trigger, after dropping an existing one."""
        constraint, deferred = ("CONSTRAINT ", "DEFERRABLE INITIALLY DEFERRED ") if self.deferred else ("", "")
        when = f"{'BEFORE' if self.before else 'AFTER'} {' OR '.join(self.events)} ON {self.table}"
        each = f"{deferred}FOR EACH {'ROW' if self.each_row else 'STATEMENT'}"
        arguments = ", ".join(f"'{argument}'" for argument in self.arguments)
        return [
            f"DROP TRIGGER IF EXISTS {self.name} ON {self.table}",
            f"CREATE {constraint}TRIGGER {self.name} {when} {each} EXECUTE FUNCTION {self.function}({arguments})",
            f"ALTER TABLE {self.table} ENABLE ALWAYS TRIGGER {self.name}",
        ]


def _of_table(table: VerdictTable) -> list[Trigger]:
    """Return the two triggers of a table: one for its rows, one for TRUNCATE."""
    arguments = (table.kind, table.column, *table.ignored)
    return [
        Trigger(table.table, NOTIFY, NOTIFY, table.events, each_row=True, deferred=True, arguments=arguments),
        Trigger(table.table, f"{NOTIFY}_truncate", NOTIFY, ("TRUNCATE",), each_row=False),
    ]


_GUARDS: Final = [
    Trigger(COUNTER, GUARD, GUARD, ("INSERT", "UPDATE", "DELETE"), each_row=True, before=True),
    Trigger(COUNTER, f"{GUARD}_truncate", GUARD, ("TRUNCATE",), each_row=False, before=True),
]
TRIGGERS: Final = [*(made for table in VERDICT_TABLES for made in _of_table(table)), *_GUARDS]
TABLES: Final = [*(table.table for table in VERDICT_TABLES), COUNTER]


def body(name: str, counter: str) -> str:
    """Return the source of a trigger function, for a counter table of this qualified name."""
    return BODIES[name].replace("{counter}", counter)


def creating_statements(counter: str, tables: Collection[str]) -> list[str]:
    """Return the SQL that creates or replaces the functions and the triggers of these tables.

    `counter` is the qualified name of the counter's table.
    """
    functions = [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET {SETTINGS} AS $body${body(name, counter)}$body$"
        for name in BODIES
    ]
    made = [statement for trigger in TRIGGERS if trigger.table in tables for statement in trigger.statements()]
    unguarded = [trigger.statements()[0] for trigger in _GUARDS]
    return [*functions, *unguarded, _BEGIN_TO_COUNT, *made]


def dropping_statements() -> list[str]:
    """Return the SQL that drops the triggers and their functions."""
    functions = [f"DROP FUNCTION IF EXISTS {name}()" for name in BODIES]
    return [*(trigger.statements()[0] for trigger in TRIGGERS), *functions]
