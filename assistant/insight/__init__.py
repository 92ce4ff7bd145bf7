"""What can be noted of a message without answering it: mood, urgency, entities, intent, and what is unsafe."""
