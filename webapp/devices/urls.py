from django.urls import path

from webapp.devices import views

urlpatterns = [
    path("devices/", views.devices_page, name="devices"),
    path("devices/kit/kit.json", views.kit_list, name="device-kit"),
    path("devices/kit/<slug:name>.onnx", views.kit_file, name="device-kit-file"),
    path("devices/<slug:name>/", views.device_page, name="device"),
    path("api/devices", views.device_list, name="api-devices"),
]
