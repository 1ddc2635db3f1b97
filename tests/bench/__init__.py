"""Benchmarks: what a reading costs on its way from register to inventory, beside what was measured of others.

Each module is one room and gives figures under the room's name; ``python -m tests.bench [ROOM]`` runs them
and writes bench.json. Nothing here asserts a time: a slow machine is no fault.
"""
