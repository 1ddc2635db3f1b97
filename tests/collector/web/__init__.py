"""The pages: their frame, their charts and tables, and what each of them shows."""
