"""The proxies of docs/nginx.conf and docs/Caddyfile as they stand there, in front of a running installation."""

import getpass
import os
import re
import shutil
import ssl
import subprocess

import httpx
import pytest
from websockets.sync.client import connect

from tests.webapp import running
from tests.webapp.running import ROOT, Installation

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
CADDY = shutil.which("caddy")
OPENSSL = shutil.which("openssl")
PASSWORD = "grey heron at noon"
NGINX_FRAME = """
daemon off; pid {0}/pid; error_log {0}/error.log; user {1};
events {{}}
http {{
    access_log off;
    client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi;
    uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;
    include {0}/site.conf;
}}
"""

# Its own place for what it keeps, and no other port than ours.
CADDY_FRAME = """
{{
    admin off
    auto_https disable_redirects
    storage file_system {0}/caddy
}}
"""

pytestmark = pytest.mark.skipif(not OPENSSL, reason="openssl is missing on this machine")


@pytest.fixture
def certificate(tmp_path):
    key, pem = tmp_path / "key", tmp_path / "pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    options = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names)
    command = [OPENSSL, "req", *options, "-keyout", key, "-out", pem]
    subprocess.run(command, check=True, capture_output=True)
    return pem


def documented(name, changes):
    """A file of docs with another name, port and certificate."""
    text = (ROOT / "docs" / name).read_text()
    for theirs, ours in changes.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    return text


def nginx(folder, certificate, port, secure):
    site = {
        "443": str(secure),
        "adadeep.example.org": "localhost",
        "/etc/ssl/adadeep.pem": str(certificate),
        "/etc/ssl/adadeep.key": str(certificate.with_name("key")),
        "127.0.0.1:8000": f"127.0.0.1:{port}",
    }
    (folder / "site.conf").write_text(documented("nginx.conf", site))
    (folder / "nginx.conf").write_text(NGINX_FRAME.format(folder, getpass.getuser()))
    return [NGINX, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]


def caddy(folder, certificate, port, secure):
    # Only a public name gets a certificate by itself.
    known = f"tls {certificate} {certificate.with_name('key')}"
    site = {
        "adadeep.example.org {": f"https://localhost:{secure} {{\n{known}",
        "127.0.0.1:8000": f"127.0.0.1:{port}",
    }
    whole = CADDY_FRAME.format(folder) + documented("Caddyfile", site)
    (folder / "Caddyfile").write_text(whole)
    return [CADDY, "run", "--config", folder / "Caddyfile"]


@pytest.fixture(
    params=[
        pytest.param(nginx, marks=pytest.mark.skipif(not NGINX, reason="there is no nginx")),
        pytest.param(caddy, marks=pytest.mark.skipif(not CADDY, reason="there is no Caddy")),
    ]
)
def proxied(request, tmp_path, certificate):
    """Starts a documented proxy before that port."""
    started = []

    def start(port):
        secure = running.free_port()
        command = request.param(tmp_path, certificate, port, secure)
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return f"https://localhost:{secure}"

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


def test_documented_proxy_serves_pages_and_sockets_over_https(tmp_path, proxied, certificate):
    settings = {"AUTH_MODE": "accounts", "BEHIND_HTTPS": "true", "ALLOWED_HOSTS": "localhost"}
    trust = ssl.create_default_context(cafile=certificate)
    with Installation(tmp_path / "home", **settings) as here:
        url = proxied(here.port)
        link = re.search(r"https://localhost(/setup/\S+)", here.log.read_text())[1]
        false = {"X-Forwarded-For": "203.0.113.9", "Origin": url}
        with httpx.Client(base_url=url, verify=trust, headers=false, timeout=30) as browser:
            running.wait_for(lambda: answers(browser), 20)
            page = browser.get(link)
            assert page.headers["Strict-Transport-Security"].startswith("max-age=")
            form = {"username": "root", "password1": PASSWORD, "password2": PASSWORD}
            form["csrfmiddlewaretoken"] = re.search(r'csrf-token" content="(\w+)', page.text)[1]
            done = browser.post(link, data=form)
            assert done.status_code == 302, done.text
            for cookie in done.headers.get_list("set-cookie"):
                assert "Secure" in cookie
            events = browser.get("/audit/").text
            assert "127.0.0.1" in events
            assert "203.0.113.9" not in events
            assert browser.get("/metrics").status_code == 404
            token = re.search(r'csrf-token" content="(\w+)', browser.get("/").text)[1]
            opened = browser.post("/api/samples/digits/open", headers={"X-CSRFToken": token})
            session = browser.cookies["sessionid"]
        address = f"{url.replace('https', 'wss')}/ws/projects/{opened.json()['id']}/"
        cookie = {"Cookie": f"sessionid={session}"}
        with connect(address, ssl=trust, origin=url, additional_headers=cookie) as socket:
            assert '"kind": "study"' in socket.recv(timeout=10)


def answers(browser):
    try:
        return browser.get("/login/").status_code == 200
    except httpx.ConnectError:
        return False
