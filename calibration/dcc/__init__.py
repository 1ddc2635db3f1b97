"""Digital calibration certificates (PTB's DCC) as events: what a laboratory sends as XML.

``tree`` reads XML within bounds and refuses what is unsafe; ``quantities`` understands the D-SI forms from 1.3 to 2.2;
``reading`` finds items, dates, statements and tables of results; ``importing`` matches items to instruments. The raw
bytes stay the evidence; a signature inside them is noticed and not verified here.
"""
