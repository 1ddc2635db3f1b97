"""The hourly ledger.

``cells`` cuts time into UTC hours, and at the facility's midnight where that falls inside one. ``assemble``
turns windows into rows (``model``), with ``sources`` saying which instruments stand behind a source and ``lives``
what their calibration was (``coarse``: by the rules of documents of before). ``sums``
adds rows up over any time, ``calendar`` says where the facility's days, months and years begin.
Everything here is pure; the collector's worker and the offline verifier call the same functions.
"""
