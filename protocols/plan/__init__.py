"""The monitoring plan: what a site measures, with what, and how emissions follow from it.

``load`` reads the TOML text into the models of ``model``. ``check`` and ``check_sources`` hold the rules between
tables and against the register maps. ``bind`` resolves every name into the indexes and exact ratios of
``bound``, which is all that the fold, the planner and the decoder see. ``document`` is the plan as it travels:
text and register maps in one sequence of bytes, named everywhere by its SHA-256.
"""
