"""The evidence log's arithmetic: an RFC 6962 Merkle tree over the leaves of one collector.

``tree`` hashes leaves and nodes, grows a frontier leaf by leaf, and makes and checks inclusion proofs.
Checkpoints and consistency proofs come later; the collector and the verifier use the same functions.
"""
