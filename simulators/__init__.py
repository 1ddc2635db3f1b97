"""A plant with known truth: it stands in for the hardware, and it knows what was really emitted.

In the order of the data: ``scenario`` reads one TOML file; ``waves``, ``schedule``, ``boiler`` and ``loads``
are its physics, pure functions of time; ``plant`` joins them under names ("boiler.gas", "workshop.power");
``ledger`` says what was truly consumed and emitted between two instants, in integers; ``instruments`` turn
truth into indications with bias, noise and resolution drawn from the seed (``draws``); ``encode`` turns an
indication into register words; ``modbus`` answers for them on sockets and serial lines, ``faults`` is what can go
wrong there, ``stops`` what can in the plant, ``serving`` joins them. ``broker`` is an embedded MQTT broker for
machines without one. For time in bulk, ``trajectory`` and ``recording`` are physics and instruments over many
instants at once, equal to the bit, and ``tape`` writes their answers on a register tape.
``emitrace-simulate`` is the command.

The rule: the simulators encode on their own and never import ``protocols.modbus.decode``. A mistake made alike
on both sides would otherwise cancel out.
"""
