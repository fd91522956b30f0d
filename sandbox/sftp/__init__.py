"""A practice ERP that speaks through files: Windows-1254 CSV, UBL invoices and PDFs over SFTP."""

from sandbox.sftp.erp import SftpErp

__all__ = ["SftpErp"]
