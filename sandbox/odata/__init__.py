"""The practice REST ERP: OData v4 with client credentials, server-driven paging, deltas, documents.

Serves a `sandbox.dataset.Dataset` in the dialect of a cloud ERP: CamelCase English names, words for
codes, decimals as strings, instants with seven digits, inclusive end dates, deletion markers.
"""

from sandbox.odata.erp import ODataErp

__all__ = ["ODataErp"]
