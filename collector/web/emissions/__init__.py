"""The emissions explorer: ``gather`` reads and adds up, ``groups`` names and links, ``tables`` and ``charts`` show."""
