"""Trust in the meter: which certificate stood behind an instrument at an instant, as known at a time.

``certificates`` holds one record per certificate, read from TOML and logged as deterministic CBOR; ``status``
derives from all records of an instrument what it was at any instant: in interval, overdue, or unknown.

Everything is pure and bitemporal: a certificate has the day it was performed on and the tree size from which
it is known. A late or a failed certificate reaches back; no reading and no earlier answer ever changes.
"""
