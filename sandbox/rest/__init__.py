"""The practice REST ERP: plain JSON, JSON-RPC, a session service layer, tokens; each in small.

Serves lists of JSON records. Stands for many vendors' habits at once: every habit has its own path.
"""

from sandbox.rest.erp import RestErp

__all__ = ["RestErp"]
