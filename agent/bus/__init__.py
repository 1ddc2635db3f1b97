"""One Modbus line: one request at a time, reads only, and no answer believed that was not asked for.

A ``bus.Bus`` is what pollers and field tools share; ``opening.bus_of`` makes one of an endpoint in agent.toml. How a
frame begins and ends is the business of ``tcp`` (TCP and TLS) and ``rtu`` (serial lines, and RTU through a gateway's
TCP port); ``serial`` finds and opens a port. ``allowed`` is asked for every frame, where its bytes leave. ``tally``
counts what each unit answered, for the report of a line.
"""
