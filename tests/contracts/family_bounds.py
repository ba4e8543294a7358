"""Bounds on what the walk measures: cells, the slope's distance from 1, and a share of the largest value."""

SHALLOW, DEEP, BLOB_SLOPE, BATCH = 0.12, 0.3, 0.05, 1e-4
