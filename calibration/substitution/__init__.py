"""Substitute values for hours of operation without a good reading: each scheme's own rule, with its direction.

``series`` holds what all of them have in common; ``part75``, ``hj75`` and ``mrr`` are one rule each. Hours in which
the unit did not operate are no gap and are never filled.
"""
