"""Modbus as instruments speak it, written on its own: a request comes in, an answer goes out.

In the order of the data: ``frames`` cuts requests out of bytes (TCP, RTU); ``line`` knows who stands on a line, what
was asked of them and which faults a request meets; ``pdu`` and ``answers`` make an answer of a request; ``delivery``
is the answer on its way; ``talk`` lets it go when and as its faults say, ``rtu`` at the pace of a line; ``tcp`` are
sockets and ``serial`` pseudo-terminals.
"""
