# A compiled module without types of its own. Only this module is described here.
from typing import Any

def __getattr__(name: str) -> Any: ...
