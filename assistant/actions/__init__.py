"""Business actions: what a customer can have done in the shop's own systems, asked for over several turns."""
