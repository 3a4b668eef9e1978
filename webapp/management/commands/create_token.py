from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from webapp.accounts.audit import event_keep
from webapp.accounts.models import EventKind, local_user
from webapp.accounts.tokens import token_create, token_delete


class Command(BaseCommand):
    help = "Prints a new token for programs that use the API. It is shown once; make one a program."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what it is for; a token of that name ends")
        parser.add_argument("--user", help="for whom, where people have accounts")
        parser.add_argument("--delete", action="store_true", help="only end that token")

    def handle(self, **options: Any) -> None:
        name = options["name"]
        try:
            owner = _owner(options["user"])
            if options["delete"]:
                if not token_delete(owner=owner, name=name):
                    raise CommandError(f"There is no token {name!r}.")
                _note(EventKind.TOKEN_ENDED, owner, name)
            else:
                self.stdout.write(token_create(owner=owner, name=name))
                _note(EventKind.TOKEN_CREATED, owner, name)
        except OperationalError as error:
            raise CommandError(
                "The database is not there yet. Start AdaDeep once (make run), then ask again."
            ) from error


def _note(kind: EventKind, owner: User, name: str) -> None:
    detail = f"{name}, on the command line"
    event_keep(kind=kind, account=owner.get_username(), address="", detail=detail)


def _owner(username: str | None) -> User:
    if username is None:
        if settings.AUTH_MODE == "accounts":
            raise CommandError("Say for whom: create_token NAME --user ACCOUNT")
        return local_user()
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no open account {username!r}.")
    return user
