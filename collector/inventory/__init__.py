"""From the hourly ledger to an inventory.

``profile`` loads the accounting rules (dated data in ``profiles/``). ``assemble`` adds hour rows to the
finest rows of the report and their totals, with ``uncertainty`` keeping the parts apart until the end.
``model`` is the frozen result with its pinned inputs, ``document`` its canonical bytes. All pure.
"""
