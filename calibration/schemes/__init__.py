"""Schemes as dated data: which tests, how often, within which limits, and how sure of it this file is.

``catalogue`` reads and checks the TOML files beside it; a site adds its own file of the same form without code.
"""
