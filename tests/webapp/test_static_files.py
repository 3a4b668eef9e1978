import re
from urllib.parse import urljoin

import pytest
from django.conf import settings
from django.template import TemplateSyntaxError

from tests.webapp.fetching import fetched
from webapp.templatetags import scripts

PAGES = sorted(path.stem for path in (settings.BASE_DIR / "static/js/pages").glob("*.js"))
IMPORTS = re.compile(r'(?:from|import) "(\.[^"]+)"')


def test_file_that_has_not_changed_is_not_sent_again():
    first = fetched("/static/css/base.css")
    again = fetched("/static/css/base.css", if_none_match=first.headers["ETag"])
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert first.content == (settings.BASE_DIR / "static/css/base.css").read_bytes()


def test_static_files_carry_the_policy_of_pages():
    headers = fetched("/static/js/pages/home.js").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert headers["Content-Type"].startswith("text/javascript")


@pytest.mark.django_db(transaction=True)
def test_what_is_no_file_of_ours_is_the_applications():
    assert fetched("/static/../secret_key").status_code == 404
    assert fetched("/static/nothing.js").status_code == 404


@pytest.mark.parametrize("page", PAGES)
def test_page_announces_every_module_that_is_imported(page):
    script = f"/static/js/pages/{page}.js"
    announced = [f"/static/{name}" for name in scripts.modules_of(f"js/pages/{page}.js")]
    assert len(announced) == len(set(announced))
    for address in (script, *announced):
        imported = {urljoin(address, to) for to in IMPORTS.findall(fetched(address).text)}
        assert imported <= {*announced}


@pytest.mark.django_db(transaction=True)
def test_modules_come_before_the_script_that_needs_them(client, user):
    page = client.get("/").content.decode()
    early = page.index('<link rel="modulepreload" href="/static/js/lib/dom.js">')
    assert early < page.index('blocking="render" src="/static/js/pages/home.js"')


def test_import_of_what_is_not_there_is_said():
    with pytest.raises(TemplateSyntaxError, match=r"js/pages/none\.js, which is not there"):
        scripts.modules_of("js/pages/none.js")
