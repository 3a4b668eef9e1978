"""All settings, read from the environment (12-factor); every fault is reported at once."""

from pathlib import Path

from environs import Env, validate

from webapp.addresses import celery_broker, database, file_store
from webapp.datafolder import broker_url, data_folder, secret_key

env = Env(eager=False)

BASE_DIR = Path(__file__).resolve().parent.parent
BROWSER_RUNTIME = BASE_DIR / ".browser-runtime"
ADADEEP_HOME = data_folder(env.str("ADADEEP_HOME", default="~/.adadeep"))
UPLOAD_ROOT = ADADEEP_HOME / "uploads"
JOB_ROOT = ADADEEP_HOME / "jobs"

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or secret_key(ADADEEP_HOME)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
LOG_FORMAT = env.str("LOG_FORMAT", default="text", validate=validate.OneOf(["text", "json"]))

# Who may ask: this machine alone, or whoever has an account.
AUTH_MODE = env.str(
    "AUTH_MODE", default="local", validate=validate.OneOf(["local", "accounts"])
)
SIGNUP_OPEN = env.bool("SIGNUP_OPEN", default=False)
# Whether a reverse proxy speaks HTTPS for us, and the addresses from which its word is taken.
BEHIND_HTTPS = env.bool("BEHIND_HTTPS", default=False)
TRUSTED_PROXIES = env.str("TRUSTED_PROXIES", default="127.0.0.1")
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# An empty DATABASE_URL means SQLite in the data folder, an empty REDIS_URL the embedded broker.
DATABASE_URL = env.str("DATABASE_URL", default="")
REDIS_URL = env.str("REDIS_URL", default="") or broker_url(ADADEEP_HOME)
# Where several machines share files: s3://bucket/prefix, or file:///a/folder/that/all/mount. Empty: each its own.
STORAGE_URL = env.str("STORAGE_URL", default="")

# The engine: how it is started and what it may use.
ENGINE_COMMAND: list[str] = env.list("ENGINE_COMMAND", default=[])
ENGINE_READABLE: list[str] = env.list("ENGINE_READABLE", default=[])
ENGINE_THREADS = env.int("ENGINE_THREADS", default=2)
ENGINE_MEMORY_GIB = env.int("ENGINE_MEMORY_GIB", default=12)
ENGINE_FILE_GIB = env.int("ENGINE_FILE_GIB", default=4)
ENGINE_STAGE_HOURS = env.int("ENGINE_STAGE_HOURS", default=6)
BUILD_TIME_LIMIT_S = env.int("BUILD_TIME_LIMIT_S", default=600)
# Where the environments of the converters to other formats lie; empty: in the project's folder.
ADADEEP_EXTRAS = env.str("ADADEEP_EXTRAS", default="")

UPLOAD_LIMIT_BYTES = env.int("UPLOAD_LIMIT_BYTES", default=2 * 1024**3)
UPLOAD_SPARE_BYTES = env.int("UPLOAD_SPARE_BYTES", default=256 * 1024**2)

# The most that one person's files, and everybody's together, may take; 0: as much as fits.
USER_QUOTA_BYTES = env.int(
    "USER_QUOTA_BYTES", default=20 * 1024**3 if AUTH_MODE == "accounts" else 0
)
TOTAL_QUOTA_BYTES = env.int("TOTAL_QUOTA_BYTES", default=0)
# After how many days untouched projects are deleted (0: never), and events of the audit log.
RETENTION_DAYS = env.int("RETENTION_DAYS", default=0)
AUDIT_DAYS = env.int("AUDIT_DAYS", default=365)

# How many requests a minute one person's programs may send to the API and to /mcp; 0: as many as they like.
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=600)

# The lease of a job: an attempt that stays silent is given to another worker.
LEASE_HEARTBEAT_S = env.float("LEASE_HEARTBEAT_S", default=5.0)
LEASE_LOST_S = env.float("LEASE_LOST_S", default=30.0)
LEASE_ATTEMPTS = env.int("LEASE_ATTEMPTS", default=3)
REQUEUE_S = env.float("REQUEUE_S", default=60.0)

env.seal()

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "channels",
    "ninja",
    "webapp",
    "webapp.accounts",
    "webapp.jobs",
    "webapp.projects",
    "webapp.devices",
    "webapp.agents",
    "webapp.samples",
]
WHO_ASKS = {
    "local": ["webapp.accounts.middleware.local_user"],
    "accounts": [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "webapp.devices.middleware.paired_browser",
        "webapp.accounts.middleware.SignInRequired",
    ],
}


def middleware(auth_mode: str) -> list[str]:
    return [
        "webapp.middleware.security_headers",
        *WHO_ASKS[auth_mode],
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "webapp.middleware.KnownErrors",
    ]


MIDDLEWARE = middleware(AUTH_MODE)
ROOT_URLCONF = "webapp.urls"
ASGI_APPLICATION = "webapp.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,  # the API's page
        "OPTIONS": {"context_processors": ["webapp.context.shell"]},
    }
]

DATABASES = {"default": database(DATABASE_URL, ADADEEP_HOME)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "webapp.channellayer.ChannelLayer",
        "CONFIG": {
            # The layer waits 5 seconds at a time for news; the client's own time limit, 5 as well,
            # would end every socket that stays quiet that long.
            "hosts": [{"address": REDIS_URL, "socket_timeout": 30}],
            "capacity": 2000,
            "prefix": "adadeep",
        },
    }
}

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "adadeep",
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
}

CELERY_BROKER_URL = celery_broker(REDIS_URL)
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = 600
CELERY_TASK_DEFAULT_QUEUE = "engine"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# The lease brings lost jobs back, the broker only as a last resort: a task that outlives this
# limit would be delivered twice.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 2 * 24 * 3600,
    # A broker that is cut off without a word is noticed.
    "socket_keepalive": True,
    "socket_timeout": 30,
    "health_check_interval": 10,
}
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = CELERY_BROKER_TRANSPORT_OPTIONS
# What runs is resumed from its last stage: nothing is gained by waiting for it.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 0.0

STATIC_URL = "static/"
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [BASE_DIR / "static"]
if BROWSER_RUNTIME.is_dir():
    STATICFILES_DIRS.append(("browser-runtime", BROWSER_RUNTIME))
# `up` gathers them here and compresses them; without it they come from where they lie, as they are.
STATIC_ROOT = ADADEEP_HOME / "static"
STORAGES = {
    "default": file_store(STORAGE_URL),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = not STATIC_ROOT.is_dir()
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("png", "svgz", "wasm", "onnx", "map", "gz")
# ES modules import each other by plain names, so names carry no hash: the browser asks each time.
WHITENOISE_MAX_AGE = 0
# The runtime's files lie under their version and never change.
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/browser-runtime/"
WHITENOISE_ALLOW_ALL_ORIGINS = False

FILE_UPLOAD_TEMP_DIR = ADADEEP_HOME / "tmp"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024**2

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SESSION_COOKIE_SAMESITE = "Lax"  # a link from elsewhere finds the person signed in
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_HTTPS

CSRF_COOKIE_SAMESITE = "Strict"
CSRF_FAILURE_VIEW = "webapp.views.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"job": {"()": "webapp.logs.JobContext"}},
    "formatters": {
        "text": {
            "class": "webapp.logs.TextLines",
            "format": "{asctime} {levelname} {name}:{about} {message}",
            "style": "{",
        },
        "json": {"()": "webapp.logs.JsonLines"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT,
            "filters": ["job"],
        }
    },
    # The web server's own lines in the same form.
    "loggers": {
        "uvicorn": {"handlers": [], "level": "WARNING"},
        # Addresses of set-up and invitation pages are secrets.
        "uvicorn.access": {"handlers": [], "propagate": False},
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}
