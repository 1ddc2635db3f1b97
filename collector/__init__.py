"""The books: what the agents sent, kept as evidence, and the inventory that follows from it.

Reading order, along the data: ``ingest`` believes or quarantines a message and acknowledges it after its
commit; ``store`` keeps bytes, log and tables; ``recompute`` folds the raw words again and compares;
``hours`` and ``inventory`` (pure) make the ledger and the report; ``api`` and ``web`` show them;
``evidence`` hands them to a verifier. ``service`` wires everything, once.
"""
