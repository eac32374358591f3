"""Metrics of all workers for Prometheus."""
