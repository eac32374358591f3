"""The audit trail: events, their types, and the services that write them."""
