from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

LOCAL_USER = "local"


class Token(models.Model):
    """A program's leave to act for its owner; only the hash is kept, the token is shown once."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["owner", "name"], name="one_token_a_name"),
        )

    def __str__(self) -> str:
        return self.name


class Invitation(models.Model):
    """Leave to make one account; the row ends with its use. Only the hash of its link is kept."""

    sha256 = models.CharField(max_length=64, unique=True)
    is_admin = models.BooleanField(default=False)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE
    )
    expires = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return "administrator" if self.is_admin else "member"


class EventKind(models.TextChoices):
    LOGIN_FAILED = "login failed"
    LOGIN = "signed in"
    LOGOUT = "signed out"
    PASSWORD = "changed the password"  # noqa: S105 - a word, no password
    INVITED = "invited somebody"
    JOINED = "made an account"
    DEACTIVATED = "closed an account"
    ACTIVATED = "opened an account again"
    TOKEN_CREATED = "made a token"  # noqa: S105
    TOKEN_ENDED = "ended a token"  # noqa: S105
    PROJECT_DELETED = "deleted a project"
    PROJECT_EXPIRED = "lost a project by age"
    DEVICE_CONNECTED = "made a device's token"
    DEVICE_DISCONNECTED = "ended a device's token"
    DEVICE_DELETED = "deleted a device"
    DEVICE_SHARED = "shared a device"
    REPORT_SHARED = "shared a report"
    ALL_DELETED = "deleted everything"
    ACCOUNT_DELETED = "deleted the account"


class AuditEvent(models.Model):
    """Who did what to accounts and data, and from where. The name stays when the account goes.

    ``network`` is what counts as one sender where attempts are limited.
    """

    t = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=24)
    account = models.CharField(max_length=150)
    address = models.CharField(max_length=45, default="", blank=True)
    network = models.CharField(max_length=45, default="", blank=True)
    detail = models.CharField(max_length=300, default="", blank=True)

    class Meta:
        indexes = (models.Index(fields=["kind", "t"], name="audit_kind_t"),)
        ordering = ("-t",)

    def __str__(self) -> str:
        return f"{self.account} {self.kind}"


def local_user() -> User:
    """The one user of local mode: whose machine this is, also after a time with accounts."""
    user = User.objects.filter(username=LOCAL_USER).first() or first_admin()
    return user or User.objects.get_or_create(username=LOCAL_USER)[0]


def is_last_admin(user: User) -> bool:
    """Whether nobody else could invite people or open accounts again."""
    admins = User.objects.filter(is_staff=True, is_active=True)
    return user.is_staff and not admins.exclude(pk=user.pk).exists()


def first_admin() -> User | None:
    """The administrator of longest standing."""
    return User.objects.filter(is_staff=True, is_active=True).order_by("pk").first()
