"""The REST API under /api/v1, and who may use it.

``auth`` knows the one administrator; ``gate`` stands in front of every path and denies by default; the other
modules are thin: parse, ask the store, shape. Integers above 1e15 are strings.
"""
