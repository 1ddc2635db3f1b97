"""The books on disk.

``schema`` has the tables and the triggers that keep a sealed inventory sealed; ``database`` gives
connections. ``log`` appends leaves to the evidence log, ``agents`` and ``certificates`` keep what the central
team enters, ``placing`` puts signed items in their order, ``hours`` and ``inventories`` keep what follows
from them.
"""
