"""How the tests drive the console: a person's browser with a watch over it, and the own face for what the page must agree with.

The watch is no test's choice: a message on the browser's console, a fault in a script or a request to any other host
fails the test that it happens in, and so does what the content policy has kept from happening. What a test brings about
on purpose, such as a server that is killed, it names.
"""

from __future__ import annotations

import json
import re
import urllib.request
import uuid
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect

OWN = "/dragoman/v1"
WIDE = (1280, 800)
NARROW = (360, 740)
ADMIN = "demo-you"
LOSS = r"net::ERR_|Failed to fetch|network error"
REFUSAL = r"the server responded with a status of 4\d\d"
_HINT = """if (location.protocol.startsWith('http') && !sessionStorage.getItem('told')) {
  localStorage.setItem('dragoman.signed-in', '1');
  sessionStorage.setItem('told', '1');
}"""
"""Tells a new tab that somebody is signed in, else the page would sign in as the demo's own user."""


_POLICY = """addEventListener('securitypolicyviolation', event =>
  console.error(`against the policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));"""
"""Says also what the content policy has kept from happening: a page that tries is at fault."""


def someone() -> str:
    """A token of the demo that nobody else has: a user of its own."""
    return f"demo-{uuid.uuid4().hex[:12]}"


class Visitor:
    """One person with one browser; pages are its tabs.

    `token` is a key or a token of the demo; None leaves the page to sign in by itself. `expected` are patterns of
    messages that may appear on the browser's console.
    """

    def __init__(
        self, browser: Browser, url: str, token: str | None, *, size: tuple[int, int], scheme: Any, sharpness: int = 1
    ) -> None:
        self.url = url
        self.token = token
        self.expected: list[str] = []
        self.complaints: list[str] = []
        self.context: BrowserContext = browser.new_context(
            base_url=url,
            viewport={"width": size[0], "height": size[1]},
            device_scale_factor=sharpness,
            color_scheme=scheme,
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="UTC",
        )
        self.context.set_default_timeout(15_000)
        elsewhere = re.compile(rf"^(?!{re.escape(url)}/)(https?|wss?|ftp|file):")
        self.context.route(elsewhere, lambda route: route.abort())
        self.context.add_init_script(_POLICY)
        self.context.on("request", self._on_request)
        self.context.on("console", self._on_console)
        self.context.on("weberror", lambda fault: self.complaints.append(f"fault: {fault.error}"))
        self.context.on(
            "dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss())
        )
        if token is not None:
            answer = self.context.request.post(f"{OWN}/session", data={"key": token}, headers={"origin": url})
            assert answer.ok, answer.text()
            self.context.add_init_script(_HINT)

    def _on_request(self, request: Request) -> None:
        scheme = request.url.partition(":")[0]
        if scheme not in ("blob", "data") and not request.url.startswith(f"{self.url}/"):
            self.complaints.append(f"a request to {request.url[:200]}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text[:500]} ({message.location.get('url', '')})")

    def open(self, path: str = "/") -> Page:
        """A new tab."""
        page = self.context.new_page()
        page.goto(path, wait_until="domcontentloaded")
        return page

    def own(self, method: str, path: str, body: Any = None) -> Any:
        """What the own face says to this person."""
        return own(self.url, self.token or ADMIN, method, path, body)

    def ask(self, text: str, **more: Any) -> Any:
        """Ask the demo's agent over the own face; the run when it is over."""
        return ask(self.url, self.token or ADMIN, "/runs", {"message": {"text": text}, **more})

    def execute(self, flow: str, message: str, **more: Any) -> Any:
        """Run a flow of the demo over the own face; the run when it is over."""
        return ask(self.url, self.token or ADMIN, f"/flows/{flow}/runs", {"message": message, **more})

    def runs_of(self, page: Page) -> list[Any]:
        """The runs of the thread that is open, newest first."""
        found: list[Any] = self.own("GET", f"/runs?thread={thread_of(page)}")["runs"]
        return found

    def close(self) -> list[str]:
        """What the watch has seen and nobody had expected."""
        self.context.close()
        return [one for one in self.complaints if not any(re.search(pattern, one) for pattern in self.expected)]


def own(url: str, token: str, method: str, path: str, body: Any = None) -> Any:
    """The own face's JSON. Raises HTTPError."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "accept": "application/json"}
    asked = urllib.request.Request(f"{url}{OWN}{path}", data, headers, method=method)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def ask(url: str, token: str, path: str, body: Any) -> Any:
    """Start a run over the own face and read its events to the end; the run as it is then."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "accept": "text/event-stream"}
    asked = urllib.request.Request(f"{url}{OWN}{path}", json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(asked, timeout=60) as answer:
        answer.read()
        run = answer.headers["x-dragoman-run"]
    return own(url, token, "GET", f"/runs/{run}")


def turn(page: Page, path: str) -> None:
    """Another page of the console in the same tab, as a link leads there: nothing is loaded anew."""
    page.evaluate("path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }", path)


def thread_of(page: Page) -> str:
    found = re.search(r"/console/chat/([^/?#]+)", page.url)
    assert found is not None, f"no thread is open: {page.url}"
    return found[1]


# --------------------------------------------------------------------------- the chat


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Message", exact=True)


def send(page: Page, text: str) -> None:
    """Write a message and send it with Enter; returns when its thread is in the address."""
    expect(field(page)).to_be_enabled()
    field(page).fill(text)
    field(page).press("Enter")
    page.wait_for_url(re.compile(r"/console/chat/."))


def answer(page: Page) -> Locator:
    """The last answer."""
    return page.get_by_role("article", name="Answer").last


def settled(page: Page) -> None:
    """Nothing is being written any more."""
    expect(page.locator("button[aria-label=Send]")).to_be_visible()  # a form has a Send of its own


def approval(page: Page) -> Locator:
    return page.get_by_role("region", name="Approval: create_bucket")


def numbers(count: int) -> str:
    return " ".join(map(str, range(1, count + 1)))


# --------------------------------------------------------------------------- any page


def ready(page: Page) -> None:
    """What the page shows has come: nothing loads, and nothing moves any more."""
    expect(page.get_by_role("main")).to_be_visible()
    expect(page.locator("[data-state=loading], [aria-busy=true], .skeleton")).to_have_count(0)
    if page.url.rpartition("/console/")[2].startswith("chat/"):
        expect(page.locator("article strong").first).to_be_visible()  # how markdown is shown comes after the words
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def check(page: Page, axe: str) -> list[str]:
    """What axe finds that is serious or worse, each with where it is."""
    page.evaluate(axe)
    found = page.evaluate(
        "async () => (await axe.run(document, { resultTypes: ['violations'] })).violations.map(one => "
        "[one.impact, one.id, one.nodes.slice(0, 3).map(node => node.target.join(' ') + ' ' + node.html.slice(0, 160))])"
    )
    return [f"{kind}: {places}" for impact, kind, places in found if impact in ("serious", "critical")]


def too_wide(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return max(0, page.evaluate("() => document.documentElement.scrollWidth - innerWidth"))


# --------------------------------------------------------------------------- figures


def figures(page: Page) -> dict[str, str]:
    """Every figure of the page with its name."""
    pairs: Sequence[Sequence[str]] = page.locator("main dl > div").evaluate_all(
        "all => all.map(one => [one.querySelector('dt')?.textContent ?? '', one.querySelector('dd')?.textContent ?? ''])"
    )
    return {name.strip(): value.strip() for name, value in pairs}


def duration(seconds: float) -> str:
    """As the console tells a length of time."""
    if seconds < 0.00005:
        return "0 ms"
    if seconds < 0.00995:
        return f"{_tenths(seconds * 1000)} ms"
    if seconds < 0.9995:
        return f"{_whole(seconds * 1000)} ms"
    if seconds < 9.95:
        return f"{_tenths(seconds)} s"
    if seconds < 59.5:
        return f"{_whole(seconds)} s"
    minutes, left = divmod(_whole(seconds), 60)
    return f"{minutes} min {left} s" if left else f"{minutes} min"


def milliseconds(value: float) -> str:
    """The same for milliseconds."""
    return duration(value / 1000)


def _tenths(value: float) -> str:
    return f"{_whole(value * 10) / 10:.1f}"


def _whole(value: float) -> int:
    return int(value + 0.5)


def amount(value: int) -> str:
    return f"{value:,}"
