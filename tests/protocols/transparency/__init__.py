"""Tests of the evidence log's tree."""
