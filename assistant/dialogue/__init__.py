"""One turn: what a customer's message means, and what is answered to it."""
