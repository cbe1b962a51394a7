"""The benchmark harness: servers, correctness checks, measurement, reports."""
