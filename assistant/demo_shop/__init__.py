"""A small order service to try business actions with (`assistant demo-shop`); it is no part of the assistant."""
