from django.contrib.auth.models import User

LOCAL_USER = "local"


def local_user() -> User:
    """The one user of local mode."""
    user, _ = User.objects.get_or_create(username=LOCAL_USER)
    return user
