"""Finding out what a program changed in a session."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Tuple

from .errors import NotStorable


class View:
    """What one program has seen of a session's values.

    It keeps the values as text, so it notices changes inside lists and
    dictionaries too. Only those are sent: changes that other programs make to
    other keys stay, and so does every digit of a number that nobody changed.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._seen = {key: _text(value) for key, value in values.items()}

    def changes(self, values: Mapping[str, Any]) -> Tuple[Dict[str, Any], List[str]]:
        """Return the values to set and the keys to delete that lead from the view to these values.

        :raises NotStorable: if one of the changed values cannot be stored.
        """
        changed = {}
        for key, value in values.items():
            try:
                same = self._seen.get(key) == _text(value)
                if not same:
                    _check(key, value)
                    changed[key] = value
            except (TypeError, ValueError, RecursionError) as error:
                raise NotStorable(
                    f"the session's value {key!r} is of type {type(value).__name__}: must be"
                    " what JSON has"
                    " (None, bool, int, float, str, and list or dict of those, with str "
                    f"keys): {error}"
                ) from error
        return changed, [key for key in self._seen if key not in values]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _check(key: Any, value: Any) -> None:
    """Raise an error for a value that would not come back as it is."""
    if not isinstance(key, str):
        raise TypeError(f"the key is of type {type(key).__name__}: must be str")
    json.dumps({key: value}, allow_nan=False, ensure_ascii=False).encode("utf-8")
