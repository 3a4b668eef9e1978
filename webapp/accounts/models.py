from django.conf import settings
from django.contrib.auth.models import User
from django.db import models

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


def local_user() -> User:
    """The one user of local mode."""
    user, _ = User.objects.get_or_create(username=LOCAL_USER)
    return user
