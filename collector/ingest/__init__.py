"""From the broker to the books.

``broker`` is the MQTT shell: its network thread only queues. ``worker`` takes small groups from the queue,
has each message believed or refused (``believe``), commits the group in one transaction, and only then lets
the broker forget it and acknowledges to the agent, signed. ``gaps`` asks for what is missing, at a bounded
rate. ``folder`` takes item files in the same way, where no broker lies between.
"""
