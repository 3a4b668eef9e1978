import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import importlib, pkgutil, sys
import django
django.setup()
import webapp.asgi, webapp.urls, webapp.celery
webapp.celery.app.loader.import_default_modules()
for module in pkgutil.walk_packages(webapp.__path__, "webapp."):
    if not any(word in module.name for word in ("migrations", "samples.train", "launch", "confinement.")):
        importlib.import_module(module.name)
heavy = [name for name in ("torch", "onnx", "onnxruntime", "scipy") if name in sys.modules]
assert not heavy, heavy
"""


def test_web_and_worker_never_load_the_engines_libraries(tmp_path):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
        "ADADEEP_HOME": str(tmp_path),
    }
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, check=True)
