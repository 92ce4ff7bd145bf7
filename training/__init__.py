"""Makes LoRA adapters from a company's conversations; serving runs without it."""

from __future__ import annotations

import logging

# Before bitsandbytes is first imported: it warns of an optional kernel that needs a download at run time.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
