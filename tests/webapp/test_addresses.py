import pytest
from celery import Celery

from webapp.addresses import celery_broker, database


def test_without_an_address_the_database_is_a_file_in_the_data_folder(tmp_path):
    found = database("", tmp_path)
    assert found["ENGINE"] == "django.db.backends.sqlite3"
    assert found["NAME"] == str(tmp_path / "adadeep.sqlite3")


def test_postgresql_by_its_address(tmp_path):
    found = database("postgres://ada:se%40cret@db.example:5433/deep?sslmode=require", tmp_path)
    assert found["ENGINE"] == "django.db.backends.postgresql"
    assert (found["HOST"], found["PORT"], found["NAME"]) == ("db.example", 5433, "deep")
    assert (found["USER"], found["PASSWORD"]) == ("ada", "se@cret")
    assert found["OPTIONS"]["sslmode"] == "require"
    assert "idle_in_transaction_session_timeout" in found["OPTIONS"]["options"]


@pytest.mark.parametrize(
    ("given", "celery"),
    [
        ("unix:///home/run/broker.sock", "redis+socket:///home/run/broker.sock"),
        ("redis://:secret@far:6379/1", "redis://:secret@far:6379/1"),
        ("rediss://:secret@far:6379/1", "rediss://:secret@far:6379/1?ssl_cert_reqs=required"),
        ("rediss://far", "rediss://far/0?ssl_cert_reqs=required"),
        ("rediss://far/0?ssl_cert_reqs=none", "rediss://far/0?ssl_cert_reqs=none"),
        (
            "rediss://far/0?ssl_ca_certs=/etc/ca.pem",
            "rediss://far/0?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=required",
        ),
    ],
)
def test_broker_as_celery_wants_it(given, celery):
    assert celery_broker(given) == celery


def test_celery_checks_the_certificate_of_a_broker_with_tls():
    url = celery_broker("rediss://:secret@far/0?ssl_ca_certs=/etc/ca.pem")
    app = Celery(broker=url, backend=url)
    assert app.connection().ssl == {"ssl_ca_certs": "/etc/ca.pem", "ssl_cert_reqs": 2}
    assert app.backend.connparams["ssl_cert_reqs"] == 2
