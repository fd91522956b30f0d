"""Vocabulary: what the portal needs, and how each ERP supplies it. Must stay light to import."""
