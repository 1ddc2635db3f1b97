"""Accounts: roles, passwords, sessions, the brake and the gate."""
