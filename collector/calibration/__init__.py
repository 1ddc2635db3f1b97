"""Calibration records on their way into the books, and what of them is due.

``reading`` and ``tables`` turn files into records, ``entering`` keeps them with what their checks found, ``overview``
tells how every instrument stands and what is due.
"""
