"""What travels between agent and collector, byte for byte; ``schema.cddl`` beside this file is normative.

A stream item (batch, plan, tombstone) becomes a deterministic CBOR map (``items``, with ``state``,
``samples``, ``windows`` and ``events`` for its parts; ``columns`` packs integers, ``blocks`` register
words), is compressed, and is signed as a COSE_Sign1 message (``cose``); ``codec`` is that way in one call,
and back: signature first, then a bounded decompression, then a strict decode that knows every range.
Acknowledgements and resend requests (``control``) go the other way in the same envelope, and so does a watch
(``live``), to which an agent answers with live values: bare CBOR, unsigned, never evidence. ``keys`` makes and
reads Ed25519 keys, ``topics`` names the MQTT topics, ``limits`` holds every bound, and whatever is refused
is refused with one of the reasons in ``errors``.
"""
