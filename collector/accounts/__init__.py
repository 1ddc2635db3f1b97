"""Who may do what: roles, accounts, passwords, sessions, and the brake on guessing.

``roles`` is the one matrix of roles and permissions. ``register`` keeps the accounts, ``sessions`` who is signed in;
``authority`` decides for a request whose session it is. The gate in ``collector.api.gate`` asks it before anything else
happens, the commands and pages change accounts through ``register``.
"""
