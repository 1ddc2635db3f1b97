"""What every point of a site shows now: for people who stand beside the meter, never evidence.

``point`` says what one slot of a point means to people; ``latest`` reads it from the newest committed batch of each
agent; ``hub`` asks agents to show their newest words while somebody looks, and takes what they show; ``events`` tells
it to browsers. A value nobody has is missing, never zero.
"""
