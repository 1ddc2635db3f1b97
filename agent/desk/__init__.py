"""The desk of an agent: where a technician's commands and page ask, and what they are told.

``asks`` are the questions there are. ``desk.Desk`` answers them over open buses, taking turns with polling.
``counter`` lets other programs ask over a Unix socket in the state folder while the agent runs; ``visit`` is their
side of it and speaks no Modbus. ``alone`` opens the buses itself where no agent runs.
"""
