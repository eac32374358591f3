"""Metrics of all workers for Prometheus: what there is (`families/`), how workers share it, and `/metrics`."""
