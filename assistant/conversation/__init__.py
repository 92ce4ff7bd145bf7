"""The conversation log: the one place that knows what happened."""
