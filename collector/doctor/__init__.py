"""What an experienced operator would look at, one after the other, each said in words: what, where, seen, what to do.

Nothing is changed and nothing made: ``machine`` looks at files, folder, disk and the pages' port, ``books`` at the
database, ``broker`` at the broker as the collector would use it; ``examine`` asks them all.
"""
