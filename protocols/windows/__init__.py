"""The fold: (state, samples, events) -> (windows, state), run alike by agent, collector and verifier.

Reading order: ``opening`` (what a stream begins with), ``series`` (answers of the bus -> samples of a point),
``counters`` (indexes -> amounts per window), ``conversion`` (gas volumes at another state), ``instants`` (which
values are believed), ``rates`` (held values -> masses per window), ``issue`` (windows with their uncertainty),
``fold`` (all of it over a whole span), ``recompute`` (a batch read a second time).

Two promises. Splitting a span at a window edge changes nothing, to the bit. Splitting windows changes
counter amounts by nothing and a mass by at most half a milligram per window.
"""
