"""The command `kai`: a Kai server from the shell.

Also `python -m dragoman.kai.cli`. Needs the extra `cli`. Exit status: 0 done, 1 a fault (one line
on stderr), 2 wrong usage, or the answer held an error. Settings come from options, then the
environment, then a file `.env.local` in the working directory. The conversation itself is in
`conversation`; nothing else imports this module.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from dragoman._version import __version__
from dragoman.core.errors import DragomanError, MissingExtra
from dragoman.kai.client import KaiClient
from dragoman.kai.conversation import Conversation, Decide, converse
from dragoman.kai.models import ChatDetail

try:
    import click
except ImportError as missing:
    raise MissingExtra("the command line of Kai", "cli") from missing

T = TypeVar("T")

ENV_FILE = ".env.local"
TOKEN = "STORAGE_API_TOKEN"
URL = "STORAGE_API_URL"
BASE_URL = "KAI_BASE_URL"

_LEAVING = frozenset({"exit", "quit", "q"})


# ------------------------------------------------------------------------------------ settings


def read_env_file(path: Path) -> dict[str, str]:
    """The `NAME=value` lines of a file, none if there is no such file.

    Blank lines, `#` comments, `export` and quotes around values are understood.
    """
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name or name.startswith("#"):
            continue
        quote = value[:1] if value[:1] in ("'", '"') else ""
        found[name] = value[1:].partition(quote)[0] if quote else value.partition(" #")[0].rstrip()
    return found


def get_env_or_error(name: str) -> str:
    """An environment variable; without it, one line on stderr and exit status 1."""
    value = os.environ.get(name)
    if not value:
        _fail(f"{name} is not set; give it in the environment, in {ENV_FILE}, or by an option")
    return value


async def get_client(ctx: click.Context) -> KaiClient:
    """The client that the options ask for; without a base URL it is discovered.

    A server whose URL is known need not know a Storage API: it is told its own URL then.
    """
    token = ctx.obj["token"] or get_env_or_error(TOKEN)
    base_url = ctx.obj["base_url"]
    url = ctx.obj["url"] or base_url or get_env_or_error(URL)
    if base_url:
        return KaiClient(storage_api_token=token, storage_api_url=url, base_url=base_url)
    return await KaiClient.from_storage_api(storage_api_token=token, storage_api_url=url)


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(coroutine)


def _fail(message: str) -> NoReturn:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(1)


class _Group(click.Group):
    """Turns every error of the client into one line on stderr and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DragomanError as error:
            _fail(str(error))


@click.group("kai", cls=_Group)
@click.version_option(__version__, prog_name="kai")
@click.option("--token", help=f"Storage API token [env: {TOKEN}]")
@click.option("--url", help=f"Storage API URL [env: {URL}]")
@click.option("--base-url", help=f"URL of the Kai server; discovered by default [env: {BASE_URL}]")
@click.pass_context
def main(ctx: click.Context, token: str | None, url: str | None, base_url: str | None) -> None:
    """Kai CLI: talk to a Kai server from the shell.

    Needs STORAGE_API_TOKEN and STORAGE_API_URL in the environment or in a file .env.local, or the
    options --token and --url. With KAI_BASE_URL or --base-url, the Storage API's URL may be left out.
    """
    known = {**read_env_file(Path(ENV_FILE)), **os.environ}
    ctx.obj = {
        "token": token or known.get(TOKEN),
        "url": url or known.get(URL),
        "base_url": base_url or known.get(BASE_URL),
    }


# ------------------------------------------------------------------------------------ commands


@main.command()
@click.pass_context
def ping(ctx: click.Context) -> None:
    """Check whether the server is alive."""

    async def run() -> None:
        async with await get_client(ctx) as client:
            answer = await client.ping()
        click.echo(f"Server is alive: {answer.timestamp.isoformat()}")

    run_async(run())


@main.command()
@click.pass_context
def info(ctx: click.Context) -> None:
    """Show what the server says of itself."""

    async def run() -> None:
        async with await get_client(ctx) as client:
            answer = await client.info()
        click.echo(f"App: {answer.app_name} {answer.app_version}")
        click.echo(f"Server: {answer.server_version}")
        click.echo(f"Uptime: {answer.uptime:.0f} s")
        mcp = answer.connected_mcp
        click.echo("MCP connections:" if mcp else "MCP connections: none")
        for entry in mcp.items() if isinstance(mcp, dict) else mcp or ():
            name, status = entry if isinstance(entry, tuple) else (entry.get("name"), entry.get("status"))
            click.echo(f"  {name}: {status}")

    run_async(run())


class _Terminal:
    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def write(self, text: str) -> None:
        click.echo(text, nl=False)

    def note(self, text: str) -> None:
        click.echo(text, err=True)

    def confirm(self, question: str) -> bool:
        return click.confirm(question)

    def next_message(self) -> str | None:
        """What the user types next; None at the end."""
        try:
            text: str = click.prompt("You", err=self._as_json)
        except click.Abort:
            click.echo(err=True)
            return None
        return None if text.strip().lower() in _LEAVING else text


@main.command()
@click.option("-m", "--message", help="Send one message instead of asking for messages.")
@click.option("--chat-id", help="Continue this chat instead of a new one.")
@click.option("--auto-approve", is_flag=True, help="Approve every tool call that needs it.")
@click.option("--deny", is_flag=True, help="Deny every tool call that needs approval.")
@click.option("--json-output", is_flag=True, help="Print events as JSON, one per line, and nothing else.")
@click.pass_context
def chat(
    ctx: click.Context, message: str | None, chat_id: str | None, auto_approve: bool, deny: bool, json_output: bool
) -> None:
    """Chat with the assistant.

    Without --message, asks for messages until you enter exit, quit or q. Exit status 2 if the
    answer to --message held an error.
    """
    if auto_approve and deny:
        raise click.UsageError("--auto-approve and --deny exclude each other")
    decide: Decide = "approve" if auto_approve else "deny" if deny else "leave" if json_output else "ask"
    screen = _Terminal(json_output)

    async def run() -> bool:
        async with await get_client(ctx) as client:
            id = chat_id or client.new_chat_id()
            if chat_id is None and not json_output:
                click.echo(f"Chat ID: {id}")
            conversation = Conversation(client, id, screen, decide=decide, as_json=json_output)
            if message is not None:
                return await conversation.say(message)
            await converse(conversation, screen.next_message, _shown)
            return True

    if not run_async(run()):
        sys.exit(2)


def _shown(error: Exception) -> None:
    if not isinstance(error, DragomanError):
        raise error
    click.echo(f"Error: {' '.join(str(error).split())}", err=True)


@main.command()
@click.option("-n", "--limit", type=int, default=10, show_default=True, help="How many chats to show.")
@click.option("--json-output", is_flag=True, help="Print JSON.")
@click.pass_context
def history(ctx: click.Context, limit: int, json_output: bool) -> None:
    """List the latest chats."""

    async def run() -> None:
        async with await get_client(ctx) as client:
            page = await client.get_history(limit=limit)
        if json_output:
            chats = [chat.model_dump(mode="json") for chat in page.chats]
            click.echo(json.dumps({"chats": chats, "hasMore": page.has_more}, indent=2))
            return
        if not page.chats:
            click.echo("No chat history found.")
        for chat in page.chats:
            created = chat.created_at.strftime("%Y-%m-%d %H:%M") if chat.created_at else "-"
            click.echo(f"{chat.id}  {created}  {(chat.title or 'Untitled')[:50]}")
        if page.has_more:
            click.echo("... and more (use --limit to see them)")

    run_async(run())


@main.command("get-chat")
@click.argument("chat_id")
@click.option("--json-output", is_flag=True, help="Print JSON.")
@click.pass_context
def get_chat(ctx: click.Context, chat_id: str, json_output: bool) -> None:
    """Show a chat with its messages."""

    async def run() -> None:
        async with await get_client(ctx) as client:
            detail = await client.get_chat(chat_id)
        if json_output:
            click.echo(json.dumps(detail.model_dump(mode="json"), indent=2))
        else:
            _print_chat(detail)

    run_async(run())


def _print_chat(detail: ChatDetail) -> None:
    created = f", {detail.created_at:%Y-%m-%d %H:%M}" if detail.created_at else ""
    click.echo(f"{detail.title or 'Untitled'} ({detail.id}{created})")
    for message in detail.messages:
        click.echo(f"\n[{message.role.upper()}] {message.id}")
        for part in message.parts:
            line = _part_line(part)
            if line:
                click.echo(line)


def _part_line(part: dict[str, Any]) -> str:
    kind = str(part.get("type", ""))
    if kind == "text":
        return str(part.get("text", ""))
    if kind == "reasoning":
        return f"(thinking: {part.get('text', '')})"
    if kind == "step-start":
        return ""
    if kind.startswith("tool-") or kind == "dynamic-tool":
        name = part.get("toolName") or kind.removeprefix("tool-")
        shown = {name: part[name] for name in ("input", "output", "errorText") if name in part}
        return f"[{name} {part.get('state', '')}] {json.dumps(shown, ensure_ascii=False)}"
    return f"[{kind}] {json.dumps({name: part[name] for name in part if name != 'type'}, ensure_ascii=False)}"


@main.command("delete-chat")
@click.argument("chat_id")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def delete_chat(ctx: click.Context, chat_id: str, yes: bool) -> None:
    """Delete a chat."""
    if not yes and not click.confirm(f"Delete chat {chat_id}?"):
        click.echo("Cancelled")
        return

    async def run() -> None:
        async with await get_client(ctx) as client:
            await client.delete_chat(chat_id)
        click.echo(f"Deleted chat {chat_id}")

    run_async(run())


@main.command()
@click.argument("chat_id")
@click.argument("message_id")
@click.argument("verdict", type=click.Choice(["up", "down"]), metavar="up|down")
@click.pass_context
def vote(ctx: click.Context, chat_id: str, message_id: str, verdict: str) -> None:
    """Vote on an answer."""

    async def run() -> None:
        async with await get_client(ctx) as client:
            stored = await client.vote(chat_id, message_id, verdict)
        click.echo(f"Voted {stored.type} on message {message_id}")

    run_async(run())


@main.command("get-votes")
@click.argument("chat_id")
@click.option("--json-output", is_flag=True, help="Print JSON.")
@click.pass_context
def get_votes(ctx: click.Context, chat_id: str, json_output: bool) -> None:
    """List the votes in a chat."""

    async def run() -> None:
        async with await get_client(ctx) as client:
            votes = await client.get_votes(chat_id)
        if json_output:
            click.echo(json.dumps([vote.model_dump(mode="json") for vote in votes], indent=2))
            return
        if not votes:
            click.echo("No votes found.")
        for vote in votes:
            click.echo(f"{vote.message_id}: {vote.type}")

    run_async(run())


if __name__ == "__main__":
    main(prog_name="kai")
