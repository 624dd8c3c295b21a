"""The shop's pages."""

from django.contrib.auth import views as auth
from django.urls import path

from . import views

urlpatterns = [
    path("", views.cart, name="cart"),
    path("add/", views.add, name="add"),
    path("devices/", views.devices, name="devices"),
    path("log-in/", auth.LoginView.as_view(template_name="log-in.html"), name="login"),
    path("log-out/", views.log_out, name="logout"),
]
