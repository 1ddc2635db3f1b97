"""Many instruments out of few: the scenario's, repeated under names of their own, spread over lines."""

from __future__ import annotations

from itertools import cycle, islice

from simulators.instruments import Device, build_device
from simulators.plant import Plant

UNITS_PER_LINE = 100


def crowd(plant: Plant, count: int) -> list[tuple[Device, ...]]:
    """Devices line by line; each has its own bias and noise, for these come from its name.

    Unit ids are 1, 2, 3 and so on along each line.
    """
    devices = []
    for number, instrument in enumerate(islice(cycle(plant.scenario.instruments), count)):
        own = {
            "id": f"{instrument.id}-{number + 1:04d}",
            "serial": f"{instrument.serial}-{number + 1:04d}",
            "unit": number % UNITS_PER_LINE + 1,
        }
        devices.append(build_device(plant, instrument.model_copy(update=own)))
    return [tuple(devices[at : at + UNITS_PER_LINE]) for at in range(0, count, UNITS_PER_LINE)]
