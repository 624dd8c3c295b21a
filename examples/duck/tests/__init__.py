"""The tests. They give the packages the settings that a Duck project would, and need no Duck."""

import sys
import types
from typing import Any, Dict

SETTINGS: Dict[str, Any] = {}


def install() -> None:
    """Stand for the part of Duck that this package imports, unless Duck is there."""
    try:
        import duck.settings  # noqa: F401
    except ImportError:
        duck = types.ModuleType("duck")
        settings = types.ModuleType("duck.settings")
        settings.SETTINGS = SETTINGS  # type: ignore[attr-defined]
        duck.settings = settings  # type: ignore[attr-defined]
        sys.modules.update({"duck": duck, "duck.settings": settings})


install()
