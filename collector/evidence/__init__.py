"""Evidence that leaves the house: a bundle that anybody can take apart offline.

``container`` is a canonical zip: the same members always give the same bytes, and a reader rebuilds it and
demands identity. ``layout`` names the members and their encodings, ``bundle`` writes one from what the store
streams, and ``verify`` is the program that re-performs it all, on the base install alone.
"""
