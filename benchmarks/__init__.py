"""Ratios taken in one run on one machine. Benchmarks are not tests: they measure and assert nothing."""
