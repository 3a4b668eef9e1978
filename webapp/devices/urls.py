from django.urls import path

from webapp.devices import views

urlpatterns = [
    path("devices/", views.devices_page, name="devices"),
    path("devices/<slug:name>/", views.device_page, name="device"),
    path("api/devices", views.device_list, name="api-devices"),
]
