"""Charts as inline SVG, drawn on the server: no script, right in print, and each with its table.

Every chart takes plain values and returns a ``Chart``: the drawing, its legend and its table. Horizontal places
are shares of the width and vertical ones pixels, so text has its own size on a phone and on a desk alike; a long
curve is a path of its own that stretches with the width.

A bucket of time without data is a dotted column over the whole height (bars, strip, heat map) or a gap (curve),
never zero; one that is known in part is hatched. Only quality is hatched diagonally: series differ by hue, by
lightness and by a texture of straight lines or dots, so that they stay apart for colour-blind readers and on grey
paper.
"""
