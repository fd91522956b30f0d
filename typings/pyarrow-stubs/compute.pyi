# Arrow makes these functions at import from its C++ registry, so no checker can read them off the
# source. Only this module is described here: pyarrow itself is still read as it is installed.
from typing import Any

def __getattr__(name: str) -> Any: ...
