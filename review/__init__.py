"""People: the desk of operators and the proof of auditors. Reads, decides, never asks an ERP."""
