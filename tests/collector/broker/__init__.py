"""Tests of the broker configuration."""
