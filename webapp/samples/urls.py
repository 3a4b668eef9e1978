from django.urls import path

from webapp.samples import views

urlpatterns = [path("api/samples/<slug:name>/open", views.sample_open, name="api-sample-open")]
