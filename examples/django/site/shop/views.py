"""A cart, which visitors fill before and after they log in, and the devices that a user is logged
in on.
"""

from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST
from waddle_sessions import users


@require_GET
def cart(request: HttpRequest) -> HttpResponse:
    """Show what is in the cart, as a page or, if the client asks for it, as JSON."""
    content = request.session.get("cart", {})
    if request.headers.get("Accept") == "application/json":
        user = request.user.get_username() if request.user.is_authenticated else None
        return JsonResponse({"user": user, "cart": content})
    return render(request, "cart.html", {"cart": content})


@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """Put one more of a thing into the cart."""
    thing = request.POST.get("thing", "").strip()[:40]
    if thing:
        content = request.session.setdefault("cart", {})
        content[thing] = content.get(thing, 0) + 1
        request.session.modified = True  # Django does not see changes inside a value
    return redirect("cart")


@login_required
def devices(request: HttpRequest) -> HttpResponse:
    """List the sessions of the user. A POST ends the others, also those in programs in Go."""
    if request.method == "POST":
        users.revoke_all(request.user, except_=[request.session.public_id])
    return JsonResponse(
        {"this": request.session.public_id, "sessions": users.sessions(request.user)}
    )


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """End the session, here and in programs in Go."""
    logout(request)
    return redirect("cart")
