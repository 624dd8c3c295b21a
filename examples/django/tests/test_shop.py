"""The shop, by Django's own client, beside another program that uses the same sessions."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.test import Client
from waddle_sessions import users

from .base import ServerTestCase

JSON = {"HTTP_ACCEPT": "application/json"}


class ShopTest(ServerTestCase):
    user: User

    @classmethod
    def setUpTestData(cls) -> None:
        cls.user = get_user_model().objects.create_user("ada", password="lovelace")

    def key(self, client: Client) -> str:
        return client.cookies["session_id"].value

    def log_in(self, client: Client) -> None:
        answer = client.post("/log-in/", {"username": "ada", "password": "lovelace"})
        self.assertRedirects(answer, "/", fetch_redirect_response=False)

    def test_a_visitor_who_only_looks_gets_no_session(self) -> None:
        answer = self.client.get("/")
        self.assertNotIn("session_id", answer.cookies)
        self.assertContains(answer, "nothing yet")

    def test_the_cart_survives_the_log_in_and_not_the_log_out(self) -> None:
        self.client.post("/add/", {"thing": "figs"})
        before = self.key(self.client)
        self.log_in(self.client)
        after = self.key(self.client)
        self.assertNotEqual(after, before)
        self.assertIsNone(self.other.load(before))
        self.client.post("/add/", {"thing": "figs"})
        self.assertEqual(self.client.get("/", **JSON).json(), {"user": "ada", "cart": {"figs": 2}})

        stored = self.other.load(after)
        assert stored is not None
        self.assertEqual(
            (stored["user"], stored["values"]["cart"]), (str(self.user.pk), {"figs": 2})
        )

        self.client.post("/log-out/")
        self.assertIsNone(self.other.load(after))
        self.assertEqual(self.client.get("/", **JSON).json(), {"user": None, "cart": {}})

    def test_who_is_logged_out_elsewhere_is_logged_out_here(self) -> None:
        self.log_in(self.client)
        self.other.destroy(self.key(self.client))
        self.assertEqual(self.client.get("/", **JSON).json(), {"user": None, "cart": {}})

    def test_devices(self) -> None:
        phone, desk = Client(), Client()
        self.log_in(phone)
        self.log_in(desk)
        listed = phone.get("/devices/").json()
        self.assertEqual(len(listed["sessions"]), 2)
        self.assertEqual(listed["sessions"][0]["public_id"], listed["this"])
        self.assertEqual(listed["sessions"], users.sessions(self.user))
        self.assertEqual(len(phone.post("/devices/").json()["sessions"]), 1)
        self.assertIsNone(desk.get("/", **JSON).json()["user"])
        self.assertEqual(phone.get("/", **JSON).json()["user"], "ada")
        self.assertTrue(users.revoke(self.user, listed["this"]))
        self.assertIsNone(phone.get("/", **JSON).json()["user"])

    def test_another_password_ends_the_log_in_elsewhere(self) -> None:
        self.log_in(self.client)
        self.user.set_password("byron")
        self.user.save()
        self.assertIsNone(self.client.get("/", **JSON).json()["user"])

    def test_a_request_that_finishes_after_the_log_out_changes_nothing(self) -> None:
        self.log_in(self.client)
        key = self.key(self.client)
        from shop import views

        original = views.redirect

        def late(to: str) -> object:  # the log-out comes while the view runs
            self.other.destroy(key)
            return original(to)

        views.redirect = late
        self.addCleanup(setattr, views, "redirect", original)
        answer = self.client.post("/add/", {"thing": "figs"})
        self.assertEqual(answer.status_code, 400)  # Django's SessionInterrupted
        self.assertIsNone(self.other.load(key))
