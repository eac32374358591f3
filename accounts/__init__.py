"""Users, confirmation, sessions, fresh log-in and the audit trail. The lowest room that knows Django."""
