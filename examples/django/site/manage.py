#!/usr/bin/env python3
"""Django's command line for the shop."""

import os
import sys
from pathlib import Path

# The packages of this example lie beside the shop. A project of your own has
# them in its environment.
EXAMPLES = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(EXAMPLES / "django"), str(EXAMPLES / "python")]


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
