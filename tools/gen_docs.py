"""Writes the pages of the documentation that are tables of the code: events, errors, settings, metrics, HTTP API.

In other pages it writes the graphs of flows: each `<!-- graph: MODULE FLOW -->`, where MODULE is a file of `examples/`, has its
Mermaid block behind it.

    python tools/gen_docs.py           write what has changed
    python tools/gen_docs.py --check   write nothing; exit code 1 and a list if a page is not current

The prose around the tables is here as well, so that a page has one source.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, cast

from dragoman.ai.errors import remote as ai_remote
from dragoman.ai.errors import tree as ai_tree
from dragoman.ai.errors.standard_codes import STANDARD_ERROR_CODES
from dragoman.ai.resilience import refusals as ai_refusals
from dragoman.core import errors, events
from dragoman.core.flow_graph import as_mermaid
from dragoman.kai import exceptions as kai
from dragoman.noukai import exceptions as noukai
from dragoman.server import own
from dragoman.server.metric_table import LONG, MANY, METRICS, MODEL, QUICK
from dragoman.server.own.handlers import OwnFace
from dragoman.server.settings_sources import settings_table
from dragoman.stackspot import auth as stackspot_auth
from dragoman.stackspot import config_sections as stackspot_config
from dragoman.stackspot import failures as stackspot
from dragoman.stackspot import rate_limiting as stackspot_rates
from dragoman.stackspot import validation as stackspot_validation
from dragoman.stackspot.config_sections import SECTIONS
from dragoman.stackspot.config_sources import variable

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"
GENERATED = "<!-- Written by tools/gen_docs.py; change that or the code, then run `make docs`. -->\n"
JSON_WORDS: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    dict: "object",
    Any: "any JSON",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def in_json(hint: Any) -> str:
    """A type hint in the words of JSON."""
    origin, arms = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " or ".join(f"`{arm}`" for arm in arms)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(in_json(arm) for arm in arms)
    if origin is tuple:
        return f"list of {in_json(arms[0])}s"
    return JSON_WORDS.get(origin or hint, str(hint))


def prose(docstring: str | None) -> str:
    """A docstring as one paragraph of Markdown."""
    return " ".join(inspect.cleandoc(docstring or "").split())


# --------------------------------------------------------------------------- events


def payload(body: type[events.EventBody]) -> str:
    hints = typing.get_type_hints(body)
    parts = []
    for field in fields(body):
        optional = field.default is not MISSING or field.default_factory is not MISSING
        parts.append(f"`{field.name}`{'?' if optional else ''}: {in_json(hints[field.name])}")
    return "; ".join(parts) or "–"


def events_page() -> str:
    rows = [(f"`{name}`", payload(body), prose(body.__doc__)) for name, body in events.BODIES.items()]
    order = inspect.cleandoc(events.__doc__ or "").split("\n\n")[-1]
    return f"""# Events

Everything that happens in a run is an event. The journal keeps them; live streams, history, traces and replay are readings
of the same rows. Dragoman's own face sends each as one server-sent event with this JSON object as its data:

```json
{{"run": "0199…", "seq": 7, "time": 1790000000.5, "type": "block.delta", "step": "s1", "payload": {{"block": "b1", "delta": "Hi"}}}}
```

`seq` counts 1, 2, 3 … within the run without gaps and is the event's `id:` line, so `Last-Event-ID` continues where a
connection broke. `time` is seconds since the epoch; `step` is left out where an event belongs to none. Fields of a payload
marked with `?` are left out when they hold their default. Readers ignore fields and types that they do not know.

## Order

{order}

## Types

{table(("type", "payload", "meaning"), rows)}"""


# --------------------------------------------------------------------------- errors


def subclasses(root: type[Exception], module: types.ModuleType) -> list[type[Exception]]:
    found = [cls for cls in vars(module).values() if inspect.isclass(cls) and issubclass(cls, root)]
    return [cls for cls in found if cls.__module__ == module.__name__]


def first_sentence(cls: type[Exception]) -> str:
    return inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")


def parents(classes: Iterable[type[Exception]]) -> str:
    """Classes with their parents, as a table."""
    rows = [
        (f"`{cls.__name__}`", ", ".join(f"`{base.__name__}`" for base in cls.__bases__), first_sentence(cls))
        for cls in classes
    ]
    return table(("class", "parents", "when"), rows)


def errors_page() -> str:
    tree = next(part for part in (errors.__doc__ or "").split("\n\n") if "├──" in part)
    words = [cls for cls in subclasses(errors.DragomanError, errors) if issubclass(cls, errors.DragomanError)]
    rows = [
        (
            f"`{cls.__name__}`",
            f"`{cls.default_code}`" if cls.default_code else "–",
            str(cls.default_status or "–"),
            "yes" if cls.default_retryable else "no",
            first_sentence(cls),
        )
        for cls in words
    ]
    models = list(
        dict.fromkeys(cls for module in (ai_tree, ai_refusals) for cls in subclasses(ai_tree.AiLibError, module))
    )
    models.append(ai_remote.RemoteError)
    homes = (stackspot, stackspot_auth, stackspot_config, stackspot_rates, stackspot_validation)
    stackspot_errors = [cls for module in homes for cls in subclasses(errors.DragomanError, module)]
    codes = [
        (f"`{code.code}`", code.name, *("yes" if yes else "no" for yes in (code.retryable, code.fallbackable)))
        for code in STANDARD_ERROR_CODES.values()
    ]
    return f"""# Errors

One tree for clients, libraries and server, so that one `except` catches what it means everywhere. The branches say who is
to blame: the caller, the network, the peer's answer, a broken protocol, a policy of ours, or the run itself.

```text
{inspect.cleandoc(tree)}
```

Every error carries `message`, `code`, `status`, `retryable`, `retry_after` (seconds), `request_id`, `run_id` and `body`;
what is not known is `None`. `import` them from `dragoman.core.errors`.

{table(("class", "code", "status", "retry?", "when"), rows)}
A missing optional package raises `MissingExtra`, which is an `ImportError` too and names the extra to install.

## Kai

The documented exceptions of the Kai client have two parents, their own root and a branch of the tree above:
`except KaiRateLimitError` and `except RateLimited` both catch a 429.

{parents(subclasses(kai.KaiError, kai))}
## Noukai

`except NoukaiError` catches whatever `dragoman.noukai` raises; its exceptions have two parents likewise:

{parents(subclasses(noukai.NoukaiError, noukai))}
## StackSpot

`dragoman.stackspot` tells most faults as the status of a response. What it raises has parents in the tree; an answer with an error status is also
`requests.HTTPError` where requests is installed, and an argument that cannot be used is an `AssertionError` and a `ValueError`.

{parents(stackspot_errors)}
## Models of providers

The errors of `dragoman.ai` have two parents as well: `except RateLimited` catches a 429 of any provider.

{parents(models)}
Each has an `error_class` with one of thirteen codes. `retryable`: the same request may succeed later; `fallbackable`: another provider
may do better.

{table(("code", "class", "retryable", "fallbackable"), codes)}"""


# --------------------------------------------------------------------------- settings


def settings_page() -> str:
    rows = [(f"`{name}`", f"`{default}`" if default else "unset", text) for name, _, default, text in settings_table()]
    return f"""# Settings

The first hit wins: command line, environment, `dragoman.toml` (in the working directory, or the file of `--config`),
`App(settings=…)`, the default. A setting that belongs to a face lies below it: `kai.approval.mode` is
`DRAGOMAN_KAI__APPROVAL__MODE` in the environment and this in the file:

```toml
[kai.approval]
mode = "close"
```

An unknown name or a value that does not fit stops the server at its start, with one line that names it.
`dragoman doctor` prints every value and where it came from.

{table(("setting", "default", "meaning"), rows)}"""


# --------------------------------------------------------------------------- configuration of the StackSpot client


def stackspot_page() -> str:
    def rows(section: Any) -> list[tuple[str, ...]]:
        return [
            (
                f"`{one.name}`",
                f"`{variable(section.SECTION, one.name)}`",
                "none" if one.default is None else f"`{one.default}`",
                one.metadata["text"],
            )
            for one in fields(section)
        ]

    head = ("field", "variable", "default", "meaning")
    sections = "\n".join(
        f"## {section.SECTION}\n\n{prose(section.__doc__)}\n\n{table(head, rows(section))}" for section in SECTIONS
    )
    return f"""# Configuration of the StackSpot client

The first hit wins: arguments and options of a constructor, `STKAI.configure`, the StackSpot CLI (where it is installed: its base URLs), the environment,
the default.

```python
from dragoman.stackspot import STKAI

STKAI.configure(agent={{"request_timeout": 120}}, rate_limit={{"enabled": True, "max_requests": 20}})
STKAI.explain()
STKAI.reset()
```

`explain` prints every value and where it came from, secrets masked; `STKAI.config.explain_data()` gives the same as data. `configure` begins again from the
defaults, the environment and the CLI each time: what an earlier call said is gone. A field that does not exist is a `ValueError`, a value that does not fit
a `ConfigValidationError`, a variable that cannot be read a `ConfigEnvVarError`; then everything stays as it was. `allow_env_override=False` and
`allow_cli_override=False` leave those two out.

The environment is read when the package is imported, by `configure` and by `reset`; what is wrong in it is said at the first use. Empty variables count as unset.
`true`, `1` and `yes` are true. `STKAI.config.sdk` has `version` and `cli_mode`, which are found and not set.

{sections}
Agents take theirs as `AgentOptions(request_timeout, retry_max_retries, retry_initial_delay, max_workers)`, uploaders as `FileUploadOptions`, quick commands as
`RqcOptions`; what is left out comes from here. One limiter and one token belong to a configuration, however many agents there are."""


# --------------------------------------------------------------------------- metrics


def metrics_page() -> str:
    def rows(question: str) -> list[tuple[str, ...]]:
        return [
            (f"`{metric.name}`", metric.kind, ", ".join(f"`{label}`" for label in metric.labels) or "–", metric.text)
            for metric in METRICS.values()
            if metric.question == question
        ]

    head = ("metric", "kind", "labels", "meaning")
    quick, long, model, many = (", ".join(f"{bound:.12g}" for bound in bounds) for bounds in (QUICK, LONG, MODEL, MANY))
    return f"""# Metrics

`GET /metrics` answers in the text format of Prometheus. Counters begin at the start of the process; one that was never counted is not
listed. Which values are worth an alarm is in [Operation](operation.md#is-it-healthy-how-slow-how-full).

## Is it healthy?

{table(head, rows("healthy"))}
## How slow is it?

{table(head, rows("slow"))}
Bounds of the histograms in seconds: {quick}; of those of runs and sweeps: {long}; of those of requests to models: {model}.

## How full is it?

{table(head, rows("full"))}
Bounds of the histogram of tokens: {many}.

## Requests to models

The families `gen_ai_client_…` are named and bounded as OpenTelemetry's conventions for generative AI say, so that dashboards made for
those fit. They count every request that the server sends to a provider's model, for agents, flows and the gateway alike, each fallback
as a request of its own; `error_type` is set for those that failed, and `cancelled` for those that nobody waited for. Tokens are what
providers count, costs what they say or else what the tokens cost by the prices that are known. 200 pairs of provider and model get series
of their own; what is beyond is counted for `other`. [Telemetry](ai/telemetry.md) says how to send traces of the same requests.
"""


# --------------------------------------------------------------------------- HTTP API


def http_api_page() -> str:
    nothing = types.SimpleNamespace(engine=None, store=None)  # the table of routes is made without a server
    routes = own.operations(OwnFace(cast(Any, nothing)))
    rows = [
        (
            f"`{operation.route.method} {operation.route.path.removeprefix(own.PREFIX)}`",
            operation.summary,
            ", ".join(f"`{query.name}`" for query in operation.query) or "–",
            ", ".join(str(status) for status in operation.errors) or "–",
        )
        for operation in routes
    ]
    return f"""# HTTP API

Every client has a dialect of its own; this is Dragoman's. It translates nothing: what goes out are the words of the journal as
JSON. `GET {own.PREFIX}/openapi.json` describes it for machines.

```sh
{(EXAMPLES / "curl.sh").read_text("utf-8").strip()}
```

## Credentials

`Authorization: Bearer` with an API key (`dk_…`, see `dragoman keys`); in demo mode any token that begins with `demo-`, each a user of
its own. What belongs to another user or tenant is answered like what does not exist. Keys with the scope `admin` read and cancel
everything of their tenant. Runs of flows, jobs and sessions belong to the tenant: each of its keys reads, continues and cancels them; a key
that is bound to projects sees those of its projects alone.

Pages in a browser sign in once with `POST /session` and `{{"key": "dk_…"}}`: the answer sets a cookie that no script can read, that names the key
without holding it, and that is over after twelve hours or with the key. It counts on this face and on those of Kai and ChatKit, and only where the
browser says that a page of this very server asks (`Sec-Fetch-Site`, else `Origin`): pages of other origins, and of other ports of the same
machine, change nothing. A credential in a header wins. The demo signs in its own user with `{{}}`, for browsers on its machine.

Where an app has its own [`authenticate=`](own-app.md#who-is-asking), a key that is not the server's is shown to it, as `Authorization: Bearer` and without the
request's other headers. Whom it lets in gets a cookie that holds the principal, and that is over after one hour: until then the app is not asked again, so whoever it stops
letting in is out within that hour. With `{{}}` it is asked about the request as it came: whom a proxy names in a header needs no key, and gets no cookie, as each request says it anew.

## Routes

Below `{own.PREFIX}`. Besides the errors listed, every route but `/session` and `/openapi.json` answers 401 without credentials and 429 over a rate limit.

{table(("route", "what", "query", "errors"), rows)}
Errors are `{{"error": {{"code", "message", "request_id"}}}}`. Every answer that belongs to a run carries its id in `x-dragoman-run`,
and every answer its request's id in `x-request-id`.

## Streams

Ask with `Accept: text/event-stream` and the answer is the run's events, as [Events](events.md) describes them, to the end of the run.
A stream that breaks is taken up again at `GET /runs/{{run}}/events` with the header `Last-Event-ID` (or `?after=`): nothing is missing
and nothing comes twice. Closing a stream does not stop the run; `POST /runs/{{run}}/cancel` does. Comments keep a silent stream
alive.

A message with an `id` may be sent again after a network fault: it attaches to the run that it started. Every POST that starts something
takes the header `Idempotency-Key` as well: for a day, the same call with the same key is one run; the key with another call is a 409.

## Watching and finding runs

`GET /runs/changes` is the list of runs as it changes, as an event stream. Each event is JSON with a `type`: first `snapshot`, with the
newest `runs`; then `run`, with the one that has changed, as soon and as often as it does, gathered over a tenth of a second; `removed`, with the id of a run
that was deleted with its thread; `closing` when the server shuts down, when the key is revoked, and after a quarter of an hour. After it, or a broken
connection, connect again: a snapshot comes first.

`from` and `to` are seconds since the epoch, and count when a run was created. `q` looks at ids and names, not at what was said. A search for threads looks at
so many titles in one call: a page may be short and still have a `next`.

Of a run, `first_token` is the seconds from its start to a model's first word or tool call, and `user` whose it is, told to that user and to admins.

`PATCH /threads/{{thread}}` with `{{"title": "…"}}` gives a thread another title. Files in `GET /threads/{{thread}}/items` have, beside their `url`, an `address`: the bytes, for
whoever has it, for an hour or so.

`POST /runs/{{run}}/rerun` runs the same input again and leaves the first run as it is. Of an agent, the question is asked in a new thread that begins with
what stood before it; only its owner may. A flow whose capture mode has left something out cannot run again.

## Figures

`GET /overview` adds up the runs that were created in a time. A percentile is the least value that so many percent of all do not exceed. `duration_ms` is
from creation to end; `first_token_ms` from the start of a run to the first word or tool call of a model. Everything is read from the journal: it is there right after a
restart, and every figure can be had from the runs themselves.

## Flows and jobs

A [flow](flows.md) is named `project/slug`. Its description has the steps of each version, and the same as a graph of nodes and edges: an edge of kind
`next`, `yes`, `no`, `each`, `again` or `done` leads to the step that may run after another.

```sh
curl -sN http://127.0.0.1:8080{own.PREFIX}/flows/basics/two-step/runs -H 'authorization: Bearer demo-you' \\
  -H 'accept: text/event-stream' -H 'content-type: application/json' -d '{{"message": "hello", "overrides": {{"exclaim": {{"suffix": "?"}}}}}}'
```

A run that pauses says so with `run.paused`: for `client_tool`, until `POST /runs/{{run}}/continue` brings `outputs` for all calls of that event; for
`segment` (a `stepwise` run), until it is told to go on. A job is a run that waits in the queue for a worker; its `result` is in the run once it has completed.

## Traces

`GET /runs/{{run}}/trace` is a run as a timeline. All offsets are seconds after `begin`. A step has a `key` of its own, a `parent` (the loop, condition, function
or agent it lies in), its `attempts`, and what the capture mode keeps of input and output. `edges` leads from each step to those that
began because it had ended. `waits` are the times in which the run did nothing: `queue`, `client_tool`, `approval`, `segment`, `interrupted`. What follows
`last_seq` comes from `/runs/{{run}}/events?after=`: a console that has drawn the trace goes on from there.

`POST /sessions/{{session}}/replay` is `dragoman replay`, in a process of its own, against the app that `dragoman serve` was started with. It needs scope `admin`, since it
runs the app's code; one at a time, for a minute at most. See [Replay](replay.md).

## Health

| route | answers |
| --- | --- |
| `GET /health/live` | 200 while the process runs |
| `GET /health/ready` | 200 if it can take work, else 503 |
| `GET /metrics` | counters and gauges in the format of Prometheus: [Metrics](metrics.md) |
"""


PAGES: dict[str, Callable[[], str]] = {
    "events.md": events_page,
    "errors.md": errors_page,
    "http-api.md": http_api_page,
    "metrics.md": metrics_page,
    "settings.md": settings_page,
    "stackspot-configuration.md": stackspot_page,
}


# --------------------------------------------------------------------------- graphs

GRAPH = re.compile(r"(<!-- graph: (\w+) (\S+) -->\n)```mermaid\n.*?^```$", re.MULTILINE | re.DOTALL)


def graph(module: str, flow: str) -> str:
    """The production version of an example's flow, as Mermaid draws it."""
    spec = importlib.util.spec_from_file_location(module, EXAMPLES / f"{module}.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"examples/{module}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    info = made.app.flow_info(flow)
    return as_mermaid(info.versions[info.production or 0])


def with_graphs(page: str) -> str:
    """The page with its graphs as the examples have them now."""
    return GRAPH.sub(lambda found: f"{found[1]}```mermaid\n{graph(found[2], found[3])}```", page)


def stale() -> dict[Path, str]:
    """The pages whose file differs from what the code says now, with their new text."""
    found = {}
    for name, make in PAGES.items():
        text = GENERATED + make().rstrip() + "\n"
        path = DOCS / name
        if not path.exists() or path.read_text("utf-8") != text:
            found[path] = text
    for path in DOCS.rglob("*.md"):
        if path.name not in PAGES and (text := with_graphs(path.read_text("utf-8"))) != path.read_text("utf-8"):
            found[path] = text
    return found


def main(args: Sequence[str]) -> int:
    pages = stale()
    if "--check" in args:
        for path in pages:
            print(f"{path.name} is not current: run `make docs`", file=sys.stderr)
        return 1 if pages else 0
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote docs/{path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
