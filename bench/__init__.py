"""Measurements and chaos runs."""
