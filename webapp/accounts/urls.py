from django.urls import path

from webapp.accounts import views

urlpatterns = [
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
    path("signup/", views.signup, name="signup"),
    path("setup/<str:secret>/", views.join, name="setup"),
    path("join/<str:secret>/", views.join, name="join"),
    path("account/", views.account, name="account"),
    path("account/password/", views.password, name="password"),
    path("account/tokens/", views.token_new, name="token-new"),
    path("account/tokens/<int:token_id>/end/", views.token_end, name="token-end"),
    path("users/", views.users, name="users"),
    path("users/invite/", views.invite, name="user-invite"),
    path("users/<int:user_id>/close/", views.user_close, name="user-close"),
    path("users/<int:user_id>/open/", views.user_open, name="user-open"),
    path("audit/", views.audit, name="audit"),
]
