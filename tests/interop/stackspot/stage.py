"""What a scenario plays with: a client package, fresh users of the demo server, and raw requests."""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.interop.stackspot.awaited import Awaited
from tests.interop.wire import Answer, Wire

SECRET = "demo-secret"
SECONDS = 20.0
"""How long a scenario waits for something that happens beside it."""


class Stage:
    """The package under test, one of its shells, and the server."""

    def __init__(self, module: str, url: str, awaiting: bool = False) -> None:
        self.awaiting = awaiting
        self.sdk: Any = importlib.import_module(module)
        self.agents: Any = importlib.import_module(f"{module}.agents")
        self.rqc: Any = importlib.import_module(f"{module}.rqc")
        self.module = module
        self.ours = module != "stkai"
        self.url = url

    @contextmanager
    def visit(self) -> Iterator[Visit]:
        with ExitStack() as kept:
            yield Visit(self, kept)


class Visit:
    """One user who has done nothing yet; everything that is made for the visit is closed with it."""

    def __init__(self, stage: Stage, kept: ExitStack) -> None:
        self.sdk, self.agents, self.rqc = stage.sdk, stage.agents, stage.rqc
        self.module, self.ours, self.url = stage.module, stage.ours, stage.url
        self.stage = stage
        self._providers: dict[int, Any] = {}
        self.client = f"demo-{uuid.uuid4().hex}"
        self.kept = kept
        self._folder: Path | None = None

    # ------------------------------------------------------------------------------------- clients

    def other(self) -> Visit:
        """Another user."""
        return Visit(self.stage, self.kept)

    def provider(self, url: str = "", client: str = "", secret: str = SECRET, realm: str = "demo") -> Any:
        """What gets tokens."""
        place = f"{url or self.url}/{realm}/oidc/oauth/token"
        return self.sdk.ClientCredentialsAuthProvider(client or self.client, secret, place)

    def http(self, url: str = "", **about: str) -> Any:
        """An HTTP client with tokens of its own; the options are those of `provider`."""
        return self._standalone(self.provider(url, **about))

    def with_headers(self, headers: dict[str, str]) -> Any:
        """An HTTP client whose authorization is just this."""

        class Fixed(self.sdk.AuthProvider):
            def get_access_token(self) -> str:
                return ""

            def get_auth_headers(self) -> dict[str, str]:
                return headers

        return self._standalone(Fixed())

    def _standalone(self, provider: Any) -> Any:
        made = self._closing(self.sdk.StandaloneHttpClient(provider))
        self._providers[id(made)] = provider
        return made

    def _made(self, name: str, *arguments: Any, http: Any, **options: Any) -> Any:
        """A client of this kind, or its awaiting twin with the tokens of `http`."""
        if not self.stage.awaiting:
            return self._closing(getattr(self.sdk, name)(*arguments, http_client=http, **options))
        twin = self._closing(Awaited(self.sdk.AsyncStandaloneHttpClient(self._providers[id(http)])))
        return self._closing(Awaited(getattr(self.sdk, f"Async{name}")(*arguments, http_client=twin._made, **options)))

    def agent(self, agent_id: str = "demo", url: str = "", http: Any = None, **options: Any) -> Any:
        """An agent of this user, or of whoever `http` is; without repeats unless `options` say so."""
        kept = self.agents.AgentOptions(**{"retry_max_retries": 0, "retry_initial_delay": 0.02} | options)
        return self._made("Agent", agent_id, base_url=url or self.url, options=kept, http=http or self.http(url))

    def uploader(self, url: str = "", http: Any = None, **options: Any) -> Any:
        kept = self.sdk.FileUploadOptions(**{"retry_max_retries": 0, "retry_initial_delay": 0.02} | options)
        return self._made("FileUploader", base_url=url or self.url, options=kept, http=http or self.http(url))

    def by_the_environment(self) -> Any:
        """An agent of which nothing but the name is said."""
        return self._closing(Awaited(self.sdk.AsyncAgent("demo")) if self.stage.awaiting else self.sdk.Agent("demo"))

    def command(self, slug: str = "demo", **about: Any) -> Any:
        """A quick command that is looked at often."""
        options = self.sdk.RqcOptions(
            create_execution=self.rqc.CreateExecutionOptions(retry_max_retries=0),
            get_result=self.rqc.GetResultOptions(poll_interval=0.05),
        )
        made = self.sdk.RemoteQuickCommand(
            slug, base_url=self.url, options=options, http_client=self.http(), **{"listeners": []} | about
        )
        return self._closing(made)

    def _closing(self, made: Any) -> Any:
        if hasattr(made, "close"):
            self.kept.callback(made.close)
        return made

    # --------------------------------------------------------------------------------------- calls

    def request(self, text: str, **about: Any) -> Any:
        return self.agents.ChatRequest(user_prompt=text, **about)

    def chat(self, text: str, agent: Any = None, **about: Any) -> Any:
        """The response to one chat."""
        return (agent or self.agent()).chat(self.request(text, **about))

    def said(self, text: str, agent: Any = None, **about: Any) -> Any:
        """What a chat that must succeed came to."""
        response = self.chat(text, agent, **about)
        assert response.is_success(), response.error
        return response.result

    def streamed(self, text: str, agent: Any = None, **about: Any) -> tuple[list[Any], Any]:
        """All events of a stream, and its response."""
        with (agent or self.agent()).chat_stream(self.request(text, **about)) as stream:
            events = list(stream)
            return events, stream.response

    def file(self, name: str, content: bytes | str = "some words\n") -> Path:
        """A file of this name."""
        if self._folder is None:
            self._folder = Path(self.kept.enter_context(tempfile.TemporaryDirectory()))
        folder = self._folder / uuid.uuid4().hex
        folder.mkdir()
        place = folder / name
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        return place

    def to_upload(self, name: str = "notes.txt", content: bytes | str = "some words\n", **about: Any) -> Any:
        return self.sdk.FileUploadRequest(file_path=self.file(name, content), **about)

    def uploaded(self, name: str = "notes.txt", content: bytes | str = "some words\n", **about: Any) -> str:
        """The id of a file that was taken."""
        response = self.uploader().upload(self.to_upload(name, content, **about))
        assert response.is_success(), response.error
        return str(response.upload_id)

    # ---------------------------------------------------------------------------------------- wire

    def wire(self, token: str | None = None) -> Wire:
        """Raw requests of this user."""
        wire = Wire(self.url)
        wire.headers["authorization"] = f"Bearer {token or self.provider().get_access_token()}"
        return wire

    def grant(self, realm: str = "demo", **fields: str) -> Answer:
        """The answer to a token request with these fields."""
        form = {"grant_type": "client_credentials", "client_id": self.client, "client_secret": SECRET} | fields
        told = {"content-type": "application/x-www-form-urlencoded"}
        return Wire(self.url).send("POST", f"/{realm}/oidc/oauth/token", urlencode(form).encode(), headers=told)

    def own(self, path: str) -> Any:
        """A document of the server's own API, as the same user."""
        wire = Wire(self.url)
        wire.headers["authorization"] = f"Bearer {self.client}"
        found = wire.send("GET", f"/dragoman/v1/{path}")
        assert found.status == 200, found
        return found.json

    # -------------------------------------------------------------------------------------- around

    def script(self, code: str, *places: Path, **environment: str) -> str:
        """What a program with this code prints, in a process of its own; `{sdk}` is the package's name."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STKAI_")}
        path = os.pathsep.join([*map(str, places), *([kept["PYTHONPATH"]] if "PYTHONPATH" in kept else [])])
        done = subprocess.run(
            [sys.executable, "-c", code.replace("{sdk}", self.module)],
            env=kept | {"PYTHONPATH": path} | environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip()

    @contextmanager
    def warnings(self) -> Iterator[list[str]]:
        """The package's log lines of at least WARNING."""
        lines: list[str] = []
        mine = threading.get_ident()

        class Keeping(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if record.thread == mine:
                    lines.append(record.getMessage())

        handler, logger = Keeping(logging.WARNING), logging.getLogger(self.module)
        logger.addHandler(handler)
        try:
            yield lines
        finally:
            logger.removeHandler(handler)


# ---------------------------------------------------------------------------------------------- words


def texts(events: Sequence[Any]) -> list[str]:
    """The texts of those events that have one."""
    return [event.text for event in events if event.is_delta and event.text]


def numbers(n: int) -> str:
    return " ".join(map(str, range(1, n + 1)))


def is_ulid(text: object) -> bool:
    """Whether it is a ULID in upper case."""
    letters = set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    return isinstance(text, str) and len(text) == 26 and set(text) <= letters and text[0] <= "7"


def body_of(error: str) -> dict[str, Any]:
    """The JSON object inside an error text."""
    return dict(json.loads(error[error.index("{") : error.rindex("}") + 1]))


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)  # it happens in another process


def within(seconds: float, doing: Callable[[], Any], what: str) -> Any:
    """What it gives; it must end in this time, and is left behind if it does not."""
    told: list[Any] = []

    def run() -> None:
        try:
            told.append((doing(), None))
        except BaseException as error:
            told.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert told, f"no end within {seconds} s: {what}"
    value, error = told[0]
    if error is not None:
        raise error
    return value


def raised(doing: Callable[[], Any], kind: type[BaseException]) -> Any:
    """The error of this kind that it must raise."""
    try:
        doing()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")
