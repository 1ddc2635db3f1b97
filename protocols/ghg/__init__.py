"""Quantification: from activity data to masses of gas, and from masses to CO2 equivalent.

In the order of the data: ``factors`` turns the plan's factor records into one exact coefficient per input and
gas; ``combustion`` and ``energy`` multiply counter differences by it; ``cems`` makes a mass rate of a measured
stack gas; ``uncertainty`` keeps three parts apart and combines them over a period; ``gwp`` weighs the gases at
report time, never before.

No factor is written in code: factors come with the plan, potentials from ``data/`` with their source. Physical
constants stand beside the equation that uses them.
"""
