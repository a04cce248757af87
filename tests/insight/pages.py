"""Reading reports: as text, and in headless Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--virtual-time-budget=10000", "--enable-logging=stderr",
]  # fmt: skip
HOSTILE = "</script><script>document.title='taken'</script><b>&\"'"
#: Opens a page in a browser; where there is none, the test is skipped.
browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.headings, self.links, self.open, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "action")]

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass


def parsed(html):
    page = Page()
    page.feed(html)
    return page


def without_plotly(html):
    from plotly.offline import get_plotlyjs

    return html.replace(get_plotlyjs(), "")


def check_in_browser(path):
    """Open a report: every chart is drawn, nothing is complained of, no name becomes a script."""
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={path.parent / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [*command, f"file://{path}"], capture_output=True, text=True, check=False, timeout=120
    )
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not errors
    charts = len(re.findall(r'data-chart="', without_plotly(path.read_text())))
    assert charts > 0
    assert done.stdout.count('class="plot-container') == charts
    assert "<title>taken" not in done.stdout
