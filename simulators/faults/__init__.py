"""Faults on demand: what the neighbours' users suffered from, each by name, at a time or by chance, repeatable.

``fault`` is what all of them have in common: when, where, how likely. A fault changes one thing on the way of an
answer: the value an instrument shows or the words it stands in (``shown``), what it answers (``refusals``), or how
the answer travels (``transport``). None of them touches the truth, but for ``stop`` (``process``), which changes the
plant itself, and the ledger knows it; an exchanged meter stands in the ledger as well. ``catalogue`` lists them all
and reads them from a command line.
"""
