"""Tests of the evidence bundle and its verifier."""
