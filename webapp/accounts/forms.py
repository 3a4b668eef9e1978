from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import User

from webapp.accounts.models import LOCAL_USER


class AccountForm(BaseUserCreationForm):  # type: ignore[type-arg]  # Django's own takes none at run time
    """Name and password of a new account."""

    def clean_username(self) -> str:
        username = str(self.cleaned_data["username"])
        if username.lower() == LOCAL_USER:
            raise forms.ValidationError("This name is reserved. Choose another.")
        if User.objects.filter(username__iexact=username).exists():
            raise forms.ValidationError("This name is taken. Choose another.")
        return username


class SignInForm(forms.Form):
    username = forms.CharField(label="Name", max_length=150)
    password = forms.CharField(widget=forms.PasswordInput, strip=False, max_length=1000)


class TokenForm(forms.Form):
    name = forms.CharField(label="What it is for", max_length=100)
