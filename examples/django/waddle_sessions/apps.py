"""The application, for ``INSTALLED_APPS``."""

from django.apps import AppConfig


class WaddleSessionsConfig(AppConfig):
    """Registers the checks."""

    name = "waddle_sessions"
    verbose_name = "Waddle sessions"

    def ready(self) -> None:
        from . import checks  # noqa: F401  (importing it registers them)
