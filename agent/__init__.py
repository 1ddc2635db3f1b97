"""The edge: from the bus to signed batches in an outbox, and from there to the collector.

The way of a number, in reading order: ``bus`` asks one endpoint, one request at a time; ``schedule`` decides
which slot is asked next and which comes too late; ``poll`` runs both on the clock (``clock``); ``results`` and
``gather`` hold what came back, slot by slot; ``spans`` folds and seals a span, ``parts`` cuts or empties one
that cannot be sealed whole; ``pipeline`` runs that at every batch edge, ``startup`` after a crash; ``outbox``
keeps it all in one SQLite file; ``uplink`` publishes it until the collector has said, signed, that it is
committed there. ``service`` wires these, ``health`` says how it goes. ``replay`` runs a register tape through
the same fold and sealing.
"""
