"""What the tests have in common: a real server, and the settings that lead to it."""

from django.test import TestCase, override_settings
from waddle_client import Client
from waddle_client.testing import Server


class ServerTestCase(TestCase):
    """Tests over one server. A class may give it settings of its own."""

    environment: dict = {}
    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server(**cls.environment).start()
        cls.addClassCleanup(cls.server.close)
        override = override_settings(WADDLE_SOCKET=cls.server.socket)
        override.enable()
        cls.addClassCleanup(override.disable)
        super().setUpClass()

    def setUp(self) -> None:
        # Stands for a program in Go: it knows the sessions and nothing of Django.
        self.other = Client(self.server.address)
        self.addCleanup(self.other.close)
