from django.urls import include, path

from webapp.devices import measure_views, own_views, views

files = [
    path("runs.json", own_views.runs_json_file, name="device-runs-json"),
    path("runs.csv", own_views.runs_csv_file, name="device-runs-csv"),
    path("kit.zip", own_views.kit_zip_file, name="device-kit-zip"),
]
actions = [
    path("settings", own_views.own_device_settings, name="api-own-device-settings"),
    path("times", own_views.own_device_times, name="api-own-device-times"),
]
urlpatterns = [
    path("devices/", views.devices_page, name="devices"),
    path("devices/kit/kit.json", views.kit_list, name="device-kit"),
    path("devices/kit/<slug:name>.onnx", views.kit_file, name="device-kit-file"),
    path("devices/measure/", measure_views.measure_page, name="measure"),
    path("devices/<slug:name>/", views.device_page, name="device"),
    path("devices/<slug:name>/", include(files)),
    path("api/devices", views.device_list, name="api-devices"),
    path("api/own-devices", own_views.own_device_list, name="api-own-devices"),
    path("api/own-devices/<uuid:device_id>", own_views.own_device, name="api-own-device"),
    path("api/own-devices/<uuid:device_id>/", include(actions)),
    path("api/devices/measure/runs", measure_views.browser_runs, name="api-browser-runs"),
    path("api/devices/measure/pair", measure_views.browser_pair, name="api-browser-pair"),
    path("m/<str:token>", measure_views.pair, name="pair"),
]
