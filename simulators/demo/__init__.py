"""The whole chain on loopback, with throw-away credentials, against a plant whose truth is known.

``site`` lays out a folder (plan, configs, keys, certificates), ``broker`` and ``programs`` start broker, plant,
collector and agent as separate processes, ``dashboard`` asks the collector over HTTP, ``compare`` sets what it
measured against the plant's ledger, and ``course`` is the course of events from start to verified bundle.
Agent and collector are never imported here: they are started as the programs they are.
"""
