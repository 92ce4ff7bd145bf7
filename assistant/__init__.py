"""A self-hosted customer-service assistant: retrieval, a fine-tuned chat model, and a websocket gateway."""

__version__ = "0.1.0"
