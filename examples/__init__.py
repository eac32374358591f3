"""Examples of services and clients. Each file works on its own."""
