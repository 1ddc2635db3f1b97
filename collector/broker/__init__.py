"""The broker's side of access: a hardened mosquitto configuration with an account per agent.

``configuration`` is its texts, pure; ``command`` writes them and keeps the accounts that are there.
"""
