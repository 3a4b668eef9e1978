from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import login as session_begin
from django.contrib.auth import logout as session_end
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.accounts.audit import note
from webapp.accounts.forms import AccountForm, SignInForm, TokenForm
from webapp.accounts.invitations import (
    VALID,
    InvitationEndedError,
    account_create,
    invitation_create,
    invitation_find,
)
from webapp.accounts.leaving import sockets_close
from webapp.accounts.models import AuditEvent, EventKind, Token, is_last_admin
from webapp.accounts.signin import SignInRefusedError, signed_in
from webapp.accounts.tokens import token_create, token_delete
from webapp.responses import error_page

if TYPE_CHECKING:
    from webapp.accounts.models import Invitation
    from webapp.requests import UserRequest

View = Callable[..., HttpResponseBase]
MOST_EVENTS = 500
ENDED = (
    "This link was used already, or its time is over. Ask for a new one; "
    "the set-up link is printed at each start until the first account is made."
)
LAST_ADMIN = "This is the last administrator. Make another one first."


def accounts_only(view: View) -> View:
    """Local mode has nobody to sign in."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if settings.AUTH_MODE != "accounts":
            raise Http404
        return view(request, *args, **kwargs)

    return checked


def admins_only(view: View) -> View:
    """Others learn nothing, not even that the page exists."""

    @wraps(view)
    def checked(request: UserRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_staff:
            raise Http404
        return view(request, *args, **kwargs)

    return accounts_only(checked)


@accounts_only
@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    target = _next_page(request)
    if request.user.is_authenticated:
        return redirect(target)
    form = SignInForm(request.POST or None)
    refusal = ""
    if request.method == "POST" and form.is_valid():
        try:
            session_begin(request, signed_in(request, **form.cleaned_data))
        except SignInRefusedError as error:
            refusal = str(error)
        else:
            return redirect(target)
    context = {
        "form": form,
        "refusal": refusal,
        "next": target,
        "signup": settings.SIGNUP_OPEN,
    }
    return render(request, "login.html", context, status=403 if refusal else 200)


@accounts_only
@require_POST
def logout(request: UserRequest) -> HttpResponse:
    note(request, EventKind.LOGOUT)
    user_id = request.user.pk
    session_end(request)
    sockets_close(user_id)
    return redirect("login")


@accounts_only
@login_not_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest, secret: str) -> HttpResponse:
    """The page behind an invitation or the set-up link."""
    invitation = invitation_find(secret)
    if invitation is None:
        return error_page(request, ENDED, status=404)
    return _new_account(request, invitation)


@accounts_only
@login_not_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def signup(request: HttpRequest) -> HttpResponse:
    if not settings.SIGNUP_OPEN:
        raise Http404("Sign-up is closed here. Ask an administrator for an invitation.")
    return _new_account(request, None)


@never_cache
@require_GET
def account(request: UserRequest) -> HttpResponse:
    return _account_page(request)


@accounts_only
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def password(request: UserRequest) -> HttpResponse:
    form = PasswordChangeForm(request.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        # Every other session of this account ends with the old password.
        update_session_auth_hash(request, request.user)
        sockets_close(request.user.pk)
        note(request, EventKind.PASSWORD)
        return redirect("account")
    return render(request, "password.html", {"form": form})


@never_cache
@require_POST
def token_new(request: UserRequest) -> HttpResponse:
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _account_page(request, form=form, status=400)
    name = form.cleaned_data["name"]
    token = token_create(owner=request.user, name=name)
    note(request, EventKind.TOKEN_CREATED, name)
    return _account_page(request, new_token=token, new_name=name, status=201)


@require_POST
def token_end(request: UserRequest, token_id: int) -> HttpResponse:
    token = get_object_or_404(Token, pk=token_id, owner=request.user)
    token_delete(owner=request.user, name=token.name)
    note(request, EventKind.TOKEN_ENDED, token.name)
    return redirect("account")


@admins_only
@never_cache
@require_GET
def users(request: UserRequest) -> HttpResponse:
    return _users_page(request)


@admins_only
@never_cache
@require_POST
def invite(request: UserRequest) -> HttpResponse:
    is_admin = request.POST.get("admin") == "on"
    secret = invitation_create(invited_by=request.user, is_admin=is_admin)
    note(request, EventKind.INVITED, "as an administrator" if is_admin else "")
    link = request.build_absolute_uri(reverse("join", args=[secret]))
    return _users_page(request, link=link, days=VALID.days, status=201)


@admins_only
@require_POST
def user_close(request: UserRequest, user_id: int) -> HttpResponse:
    user = get_object_or_404(User, pk=user_id)
    if is_last_admin(user):
        return _users_page(request, refusal=LAST_ADMIN, status=409)
    User.objects.filter(pk=user.pk).update(is_active=False)
    sockets_close(user.pk)
    note(request, EventKind.DEACTIVATED, user.username)
    return redirect("users")


@admins_only
@require_POST
def user_open(request: UserRequest, user_id: int) -> HttpResponse:
    user = get_object_or_404(User, pk=user_id)
    User.objects.filter(pk=user.pk).update(is_active=True)
    note(request, EventKind.ACTIVATED, user.username)
    return redirect("users")


@admins_only
@never_cache
@require_GET
def audit(request: UserRequest) -> HttpResponse:
    events = AuditEvent.objects.all()[:MOST_EVENTS]
    return render(request, "audit.html", {"events": events})


def _new_account(request: HttpRequest, invitation: Invitation | None) -> HttpResponse:
    form = AccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = account_create(
                username=form.cleaned_data["username"],
                password=form.cleaned_data["password1"],
                invitation=invitation,
            )
        except InvitationEndedError:
            return error_page(request, ENDED, status=404)
        session_begin(request, user)
        note(request, EventKind.JOINED, "as an administrator" if user.is_staff else "")
        return redirect("home")
    context = {"form": form, "is_setup": invitation is not None and not invitation.invited_by}
    return render(request, "join.html", context)


def _account_page(request: UserRequest, status: int = 200, **extra: Any) -> HttpResponse:
    tokens = Token.objects.filter(owner=request.user).order_by("created")
    context = {"form": TokenForm(), "tokens": tokens, **extra}
    return render(request, "account.html", context, status=status)


def _users_page(request: UserRequest, status: int = 200, **extra: Any) -> HttpResponse:
    context = {"users": User.objects.order_by("username"), **extra}
    return render(request, "users.html", context, status=status)


def _next_page(request: HttpRequest) -> str:
    """Where to go after signing in: to a page of ours, whatever the address says."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if is_ours else reverse(settings.LOGIN_REDIRECT_URL)
