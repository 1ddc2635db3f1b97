"""What a person must be told of: conditions found in the books, told once by mail or webhook, and acknowledged.

``conditions`` says what holds now, ``collector.store.alerts`` remembers since when and who was told, ``worker`` runs
both beside the service, ``mail`` and ``webhook`` carry the word.
"""
