"""Which tables verdicts depend on, and the triggers in PostgreSQL that tell every listening process of their changes.

`NOTIFY_TRIGGERS` is the one declaration: a migration and `manage.py createtriggers` make the triggers from it,
`credentials.trigger_health` compares the database with it, and a test compares it with what verdicts read.

A change by anyone is told: page, admin, SQL by hand, a session that replicates (ENABLE ALWAYS), another role (SECURITY
DEFINER). They are deferred constraint triggers: at commit the first one raises the change counter by one, whose row
stays locked until the commit is done, so that the order of the numbers is the order of the commits. Each notice holds
the number, its mark (random, so that a number that comes twice can be told apart), and a tag: `key:key_…`, or `*` for
what can't be named. A savepoint that is rolled back takes its number and its notices along.

On SQLite there are none: its own version counter is enough (`credentials.freshness`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

CHANNEL: Final = "keyportal"
EVERYTHING: Final = "*"
COUNTER: Final = "credentials_changecounter"

SETTINGS: Final = "search_path=pg_catalog, pg_temp"
"""Of the functions: the search path of whoever makes a change may lead to a pg_notify of their own."""

# A function that is to do something else gets another name: workers of the release before trust what they know.
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
    -- Who has raised it is in the row and not in a setting of the session, which anyone can set. The time is there
    -- because a dump may be restored into a cluster where the transaction's number comes again.
    SELECT n || ' ' || mark INTO change FROM {counter} WHERE raised_by = this_one AND raised_at = now();
    IF NOT FOUND THEN
        UPDATE {counter} SET n = n + 1, mark = gen_random_uuid(), raised_by = this_one, raised_at = now()
        RETURNING n || ' ' || mark INTO change;
    END IF;
    IF change IS NULL THEN change := '0 -'; END IF; -- no counter, no trust; but a revocation must still be possible
    IF TG_LEVEL = 'STATEMENT' OR TG_ARGV[0] = '' THEN
        PERFORM pg_notify('keyportal', change || ' *');
        RETURN NULL;
    END IF;
    FOREACH image IN ARRAY ARRAY[before, after] LOOP
        CONTINUE WHEN image IS NULL;
        tag := TG_ARGV[0] || ':' || (image ->> TG_ARGV[1]);
        IF tag IS NULL OR octet_length(tag) > 1000 THEN tag := '*'; END IF; -- a notice holds 8000 bytes
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
    f"INSERT INTO {COUNTER} (id, identity, n, mark, raised_by) "  # noqa: S608  # a name of ours
    "VALUES (1, gen_random_uuid(), 0, '-', 0) ON CONFLICT DO NOTHING"
)

# pg_trigger.tgtype
_ROW, _BEFORE = 1, 2
_EVENTS: Final[Mapping[str, int]] = {"INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}


class Trigger(NamedTuple):
    """One trigger as it must be: what `pg_trigger` says of it, and how it is made."""

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
        """Return `pg_trigger.tgtype`."""
        return sum(_EVENTS[event] for event in self.events) | self.each_row * _ROW | self.before * _BEFORE

    def statements(self) -> list[str]:
        """Return the SQL that makes it, anew if it is there."""
        constraint, deferred = ("CONSTRAINT ", "DEFERRABLE INITIALLY DEFERRED ") if self.deferred else ("", "")
        when = f"{'BEFORE' if self.before else 'AFTER'} {' OR '.join(self.events)} ON {self.table}"
        each = f"{deferred}FOR EACH {'ROW' if self.each_row else 'STATEMENT'}"
        arguments = ", ".join(f"'{argument}'" for argument in self.arguments)
        return [
            f"DROP TRIGGER IF EXISTS {self.name} ON {self.table}",
            f"CREATE {constraint}TRIGGER {self.name} {when} {each} EXECUTE FUNCTION {self.function}({arguments})",
            f"ALTER TABLE {self.table} ENABLE ALWAYS TRIGGER {self.name}",
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyTrigger:
    """A table that verdicts depend on: how notices call its rows, and of what they tell."""

    table: str
    kind: str = ""
    """`key`, `user` or `token`; empty if a change of any row changes every verdict."""
    column: str = "id"
    """Which column names the row."""
    ignored: tuple[str, ...] = ()
    """Columns that change often and that no verdict reads; every other one is told of, new ones too."""
    events: tuple[str, ...] = ("UPDATE", "DELETE")

    def triggers(self) -> list[Trigger]:
        """Return the two triggers of the table: for its rows, and for all of them at once."""
        arguments = (self.kind, self.column, *self.ignored)
        return [
            Trigger(self.table, NOTIFY, NOTIFY, self.events, each_row=True, deferred=True, arguments=arguments),
            Trigger(self.table, f"{NOTIFY}_truncate", NOTIFY, ("TRUNCATE",), each_row=False),
        ]


NOTIFY_TRIGGERS: Final = (
    NotifyTrigger(table="accounts_user", kind="user", ignored=("last_login",)),
    NotifyTrigger(table="apikeys_apikey", kind="key"),
    NotifyTrigger(table="apikeys_keysecret", kind="key", column="key_id"),
    NotifyTrigger(table="credentials_scope", events=("INSERT", "UPDATE", "DELETE")),
    # Not its deletion: a revoked token is never remembered, so that the purge need not tell of a million rows.
    NotifyTrigger(table="tokens_revokedtoken", kind="token", column="token_id", events=("INSERT", "UPDATE")),
    NotifyTrigger(table="tokens_tokenfamily", kind="token", ignored=("refreshed_at",)),
)
"""Whoever lets a verdict depend on another table adds it here, and a migration with `create_triggers`."""

_GUARDS: Final = [
    Trigger(COUNTER, GUARD, GUARD, ("INSERT", "UPDATE", "DELETE"), each_row=True, before=True),
    Trigger(COUNTER, f"{GUARD}_truncate", GUARD, ("TRUNCATE",), each_row=False, before=True),
]
TRIGGERS: Final = [*(made for table in NOTIFY_TRIGGERS for made in table.triggers()), *_GUARDS]
TABLES: Final = [*(table.table for table in NOTIFY_TRIGGERS), COUNTER]


def create_triggers(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """Make what `NOTIFY_TRIGGERS` declares, anew if it is there: for a migration. On PostgreSQL only.

    Tables that a later migration makes are left to that.
    """
    if editor.connection.vendor == "postgresql":
        there = set(editor.connection.introspection.table_names())
        for statement in _statements(editor.connection, there):
            editor.execute(statement, None)


def drop_triggers(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """Take them away again."""
    if editor.connection.vendor == "postgresql":
        for trigger in TRIGGERS:
            editor.execute(trigger.statements()[0], None)
        for name in BODIES:
            editor.execute(f"DROP FUNCTION IF EXISTS {name}()", None)


def body(name: str, counter: str) -> str:
    """Return the source of a function for a counter of this qualified name."""
    return BODIES[name].replace("{counter}", counter)


def _statements(connection: BaseDatabaseWrapper, there: set[str]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        counter = f"{cursor.fetchone()[0]}.{COUNTER}"
    functions = [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET {SETTINGS} AS $body${body(name, counter)}$body$"
        for name in BODIES
    ]
    made = [statement for trigger in TRIGGERS if trigger.table in there for statement in trigger.statements()]
    unguarded = [trigger.statements()[0] for trigger in _GUARDS]
    return [*functions, *unguarded, _BEGIN_TO_COUNT, *made]
