"""Live values at the collector."""
