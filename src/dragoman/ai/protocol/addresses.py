"""The base URL of a manifest with its variables filled in.

`${NAME}` in `endpoint.base_url` or `base_url_template` is read from the variables given by the caller,
then from the manifest's `connection_vars`, then from the environment. Not from there under a name that
says it is a secret: a URL is shown and logged, and the host in it is whatever the manifest says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dragoman.ai.errors import ErrorContext, ProtocolError
from dragoman.core.redact import is_secret_name

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET = re.compile(r"(?:_|\b)(?:KEYS?|TOKENS?|SECRETS?|PASS|PASSWORDS?|PASSPHRASE|CREDENTIALS?)$", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def variables_in(text: str) -> list[str]:
    """The names of the variables of a URL, in order."""
    return _VARIABLE.findall(text)


def fill_base_url(
    base_url: str,
    *,
    template: str | None,
    protocol: str,
    sources: tuple[Mapping[str, object], ...],
    environment: Mapping[str, str],
) -> str:
    """The URL to send to, without a slash at its end.

    `template` wins when all its variables are known. `protocol` is used only when there is no scheme.
    Raises ProtocolError that names the missing variable.
    """
    wanted = [*variables_in(base_url), *variables_in(template or "")]
    sources = (*sources, {name: environment[name] for name in wanted if name in environment and is_public(name)})
    chosen = base_url
    if template and all(_known(name, sources) is not None for name in variables_in(template)):
        chosen = template
    missing = [name for name in variables_in(chosen) if _known(name, sources) is None]
    if missing:
        raise ProtocolError(
            f"the base URL {chosen!r} needs {' and '.join(dict.fromkeys(missing))}",
            ErrorContext(
                field_path="endpoint.base_url",
                hint="set it in the environment, or pass it as a connection variable"
                if all(map(is_public, missing))
                else "a secret does not go from the environment into a URL; pass it as a connection variable",
            ),
        )
    filled = _VARIABLE.sub(lambda found: _known(found[1], sources) or "", chosen).rstrip("/")
    return filled if _SCHEME.match(filled) else f"{protocol}://{filled.lstrip('/')}"


def is_public(name: str) -> bool:
    """Whether a variable of this name may go from the environment into a URL."""
    return not (is_secret_name(name) or _SECRET.search(name))


def _known(name: str, sources: tuple[Mapping[str, object], ...]) -> str | None:
    for source in sources:
        value = source.get(name)
        if value is not None and str(value).strip():
            return str(value).strip()
    return None
