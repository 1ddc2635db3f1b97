"""The evidence log's arithmetic: an RFC 6962 Merkle tree over the leaves of one collector, and what is signed of it.

``tree`` hashes leaves and nodes and grows a frontier leaf by leaf; ``proofs`` makes and checks inclusion and
consistency proofs; ``note`` is the C2SP signed note, ``checkpoint`` the tree head in one. Collector, agent and
verifier use the same functions.
"""
