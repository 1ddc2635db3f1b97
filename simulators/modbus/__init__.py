"""Modbus as instruments speak it, written on its own: a request comes in, an answer goes out.

In the order of the data: ``frames`` cuts requests out of bytes (TCP, RTU); ``line`` knows who stands on a line and
what was asked of them; ``answers`` makes an answer of a request; ``delivery`` is the answer on its way, where faults
of the line take hold; ``tcp`` and ``serial`` are the sockets and pseudo-terminals.
"""
