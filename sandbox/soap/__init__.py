"""A practice SOAP ERP with SAP-like habits: WSDL, WS-Security, server-side searches, odd dates.

Must not import anything of ours: it stands for somebody else's system.
"""

from sandbox.soap.server import SoapErp

__all__ = ["SoapErp"]
