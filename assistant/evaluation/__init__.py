"""Measuring the assistant on a company's own questions: search, scope, whole answers, safety."""
