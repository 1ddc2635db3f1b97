"""Provision with measuring instruments after GB 17167: which are required, how many there are, and of which class.

``tables`` reads the editions of the standard as dated data; ``required`` derives from a register of energy users what
has to be metered and compares it with what is; ``accuracy`` compares classes.
"""
