"""Trust in the meter: what stood behind an instrument at an instant, as known at a time.

In the order in which evidence becomes a status:

- ``instruments``, ``events``, ``evidence``: what a certificate is about, what happened, what a document can prove;
- ``checks``: what has to be right before an event counts; ``requirements`` and ``intervals``: what has to be
  passed and how long a pass stands;
- ``effects`` compiles events; ``status`` tells one instrument over all time, ``many`` all of them at one instant,
  and ``due`` which of them somebody has to look after;
- ``reach_back``, ``late``, ``substitution``: what a late or failed test means for the time before it;
- ``schemes``: tests, intervals and limits as dated data; ``dcc``: certificates as XML;
- ``shares``: the mass on each status; ``provision``: required instruments and their rates after GB 17167;
- ``correction``, ``relative_accuracy``, ``uncertainty`` (``course``: over all time), ``charts``,
  ``interval_review``: what to think of a reading, a drift, an interval;
- ``encoding``: canonical bytes of events, instruments and chains for the evidence log;
- ``certificates``: the records of before there were events, which count as such.

Everything is pure and bitemporal: an event has the time it happened and the tree size from which it is known. A
late or a failed certificate reaches back; no reading and no earlier answer ever changes.
"""
