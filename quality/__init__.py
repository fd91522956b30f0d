"""Judgement: checks, guards, quarantine, control totals. Must not store or fetch anything."""
