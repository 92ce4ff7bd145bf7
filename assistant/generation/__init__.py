"""The chat model: its loading, its chat template, and a thread that writes many answers at once.

`Engine` is what others use. Inside, `sequence` holds the state of one answer, `scheduler` decides who is
admitted, `runner` owns the tensors, `chat_format` is the only renderer of a chat template.
"""

from __future__ import annotations

import logging

# Before bitsandbytes is first imported: it warns of an optional kernel then, and later at every int8 product.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
