"""What the packages of this room share: the circuit breaker, whether the database takes writes, errors."""
