"""A page's script with all modules that it imports, so that the browser asks for them at once and not level by level."""

import re
from functools import cache
from pathlib import Path, PurePosixPath

from django import template
from django.contrib.staticfiles import finders
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

IMPORT = re.compile(r"""^(?:import|export)\b[^"';]*?["'](\.[^"']+)["']""", re.MULTILINE)


@register.simple_tag
def page_script(name: str) -> SafeString:
    """The page waits for it before the first paint, so that nothing moves afterwards."""
    script = f"js/pages/{name}.js"
    early = format_html_join(
        "\n  ",
        '<link rel="modulepreload" href="{}">',
        ((static(module),) for module in modules_of(script)),
    )
    page = format_html(
        '<script type="module" blocking="render" src="{}"></script>', static(script)
    )
    return format_html("{}\n  {}", early, page)


@cache
def modules_of(script: str) -> tuple[str, ...]:
    """What a script imports, directly or not, in the order of its coming."""
    found: list[str] = []
    todo = [script]
    while todo:
        now = todo.pop(0)
        for target in IMPORT.findall(_text(now)):
            module = _joined(PurePosixPath(now).parent, target)
            if module not in found:
                found.append(module)
                todo.append(module)
    return tuple(found)


def _text(name: str) -> str:
    path = finders.find(name)
    if path is None:
        raise template.TemplateSyntaxError(f"A page imports {name}, which is not there.")
    return Path(path).read_text(encoding="utf-8")


def _joined(folder: PurePosixPath, target: str) -> str:
    """``../lib/dom.js`` as seen from a folder."""
    parts = list(folder.parts)
    for part in PurePosixPath(target).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
