import pytest
from django.contrib.auth.models import User
from django.test import Client

from webapp.settings import middleware

PASSWORD = "grey heron at noon"


@pytest.fixture(autouse=True)
def accounts_mode(settings):
    settings.AUTH_MODE = "accounts"
    settings.MIDDLEWARE = middleware("accounts")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def visitor(db):
    return Client(headers={"host": "localhost"})


@pytest.fixture
def member(db):
    return User.objects.create_user("ada", password=PASSWORD)


@pytest.fixture
def admin(db):
    return User.objects.create_user("root", password=PASSWORD, is_staff=True)


@pytest.fixture
def browser_of():
    """A browser in which that user is signed in."""

    def signed_in(user, **options):
        browser = Client(headers={"host": "localhost"}, **options)
        browser.force_login(user)
        return browser

    return signed_in
