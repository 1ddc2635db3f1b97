"""The fold: (state, samples, events) -> (windows, state), run alike by agent, collector and verifier.

Reading order: ``series`` (answers of the bus -> samples of a point), ``counters`` (indexes -> amounts per
window), ``rates`` (held values -> masses per window), ``fold`` (both over a whole span, slots and state),
``recompute`` (a batch read a second time).

Two promises. Splitting a span at a window edge changes nothing, to the bit. Splitting windows changes
counter amounts by nothing and a mass by at most half a milligram per window.
"""
