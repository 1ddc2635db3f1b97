"""The page for a phone beside the meter: a process of its own, off until somebody starts it, behind a PIN.

It asks the running agent over its desk and speaks no Modbus itself; it needs no collector, no internet and no script.
``pin`` keeps strangers out, ``words`` has the texts, ``app`` the pages.
"""
