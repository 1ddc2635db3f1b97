"""`emitrace-verify`: take an evidence bundle apart and re-perform it, offline, trusting nobody.

``steps`` is the way through: container, manifest, keys, log (``log``), plans and certificates (``documents``),
items with signatures, chain and recomputation (``items``, ``streams``), hours and inventory (``ledger``).
What is found is collected in a ``report`` with its place, ``text`` prints it. Standard library, numpy, cbor2,
cryptography and pydantic are enough.
"""
