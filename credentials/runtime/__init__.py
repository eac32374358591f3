"""What the packages of this room share: circuit breaker, state of the database, periodic tasks."""
