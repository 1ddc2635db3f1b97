"""One module per revision, ``rNNNN_what.py``, one linear chain; each stays as it is once it was released."""
