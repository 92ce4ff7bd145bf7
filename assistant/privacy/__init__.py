"""Personal data: recognising and masking it, telling what is held about a visitor, and erasing it.

Knows nothing of the rest: what it needs of the log and of other places it says as Protocols.
"""
