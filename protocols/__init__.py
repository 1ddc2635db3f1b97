"""What two parties must agree on. Pure: no I/O, no clock, no log.

Reading order, the way of a number: ``quantities`` (what a value means), ``records`` (the nouns), ``plan``
(what is measured and how emissions follow), ``modbus`` (registers to words to values), ``windows`` (the fold
of samples into windows), ``ghg`` (quantification and uncertainty), ``wire`` (signed messages),
``transparency`` (the log's tree), ``tape`` (registers recorded over a long time). ``exact`` is the one place
where the exact path rounds and sums.
"""
