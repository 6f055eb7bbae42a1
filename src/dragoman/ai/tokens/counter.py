"""Counting tokens, and cutting texts to a number of them.

A counter says whether its counts are `exact`: a vocabulary counts, everything else estimates. The
count of a conversation is an estimate in any case, since each provider frames messages in its own
way. Names of models tell which counter they need; who serves a model does not matter, so a provider
before the name is cut off.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, NamedTuple

from dragoman.ai.features import HAS_TOKENIZER
from dragoman.ai.tokens.vocabulary import Vocabulary, load_vocabulary
from dragoman.ai.types.message import ContentBlock, Message

__all__ = [
    "AnthropicEstimator",
    "CachingCounter",
    "CharacterEstimator",
    "TiktokenCounter",
    "TokenCount",
    "TokenCounter",
    "get_token_counter",
]

IMAGE_TOKENS = 85
"""What an image counts for; what it really takes depends on its size and on the provider."""

ROLE_TOKENS = 1
FRAME_TOKENS = 3

_LONG_TEXT = 512
"""Characters from which on a text is remembered by its digest."""

_PIECE = 10_000
"""Characters that are counted at once of a text that the vocabulary does not take as a whole."""

_log = logging.getLogger("dragoman.ai.tokens")

_LATER, _EARLIER = "o200k_base", "cl100k_base"
_SINCE_4O = re.compile(r"(chat)?gpt-(4o|4\.[1-9]|[5-9]|\d\d|oss)(?!\d)|o[134](-|$)")
_SURE = re.compile(r"(chat)?gpt-(4o|4\.[15]|5|oss)(?!\d)|o[134](-|$)")
_BEFORE_4O = re.compile(r"gpt-(4|3\.?5)(-|$)|text-embedding-(3|ada)(-|$)|(davinci|babbage)-002$")
_FAMILY = re.compile(r"(chat)?gpt-|o[134](-|$)|text-(embedding-(3|ada)|davinci)|davinci|babbage")
"""Names of this family. Of those that match none of the two lists above, the vocabulary is a guess."""

_warned: set[str] = set()


class TokenCount(NamedTuple):
    """A number of tokens, and whether it was counted or estimated."""

    tokens: int
    exact: bool


class TokenCounter(ABC):
    """Counts the tokens of texts. `exact` says whether these are counts or estimates."""

    @property
    def exact(self) -> bool:
        return False

    @abstractmethod
    def count(self, text: str) -> int:
        """Tokens of a text; 0 for an empty one."""

    def measure(self, text: str) -> TokenCount:
        """The count together with its exactness."""
        return TokenCount(self.count(text), self.exact)

    def count_messages(self, messages: Iterable[Message]) -> int:
        """Tokens of a conversation, estimated: each message has four more than its content, an image counts for 85.

        Thinking, tool calls with their arguments, and tool results are counted as text.
        """
        return sum(ROLE_TOKENS + self._content(message) + FRAME_TOKENS for message in messages)

    def truncate_to_limit(self, text: str, max_tokens: int, suffix: str = "...") -> str:
        """The text, or as much of its beginning as fits, `suffix` included; never more than `max_tokens`.

        A suffix that does not fit is left out.
        """
        if max_tokens <= 0:
            return ""
        if self.count(text) <= max_tokens:
            return text
        if self.count(suffix) > max_tokens:
            suffix = ""
        fits, beyond = 0, len(text)
        while beyond - fits > 1:
            middle = (fits + beyond) // 2
            if self.count(text[:middle] + suffix) <= max_tokens:
                fits = middle
            else:
                beyond = middle
        while fits and self.count(text[:fits] + suffix) > max_tokens:  # vocabularies are not quite monotone
            fits -= 1
        return text[:fits] + suffix

    @classmethod
    def for_model(cls, model: str) -> TokenCounter:
        """The counter that suits a model; see `get_token_counter`."""
        return get_token_counter(model)

    # ------------------------------------------------------------------------------------ inside

    def _content(self, message: Message) -> int:
        tokens = sum(self._call(call.function_name, call.arguments) for call in message.tool_calls or ())
        if isinstance(message.content, str):
            return tokens + self.count(message.content)
        return tokens + sum(map(self._block, message.content or ()))

    def _block(self, block: ContentBlock) -> int:
        if block.type == "image":
            return IMAGE_TOKENS
        if block.type == "tool_use":
            return self._call(block.name or "", block.input)
        parts = (block.text, block.content)
        return sum(self.count(_as_text(part)) for part in parts if part)

    def _call(self, name: str, arguments: Any) -> int:
        return self.count(name) + self.count(_as_text(arguments or {}))


class CharacterEstimator(TokenCounter):
    """So many characters are a token; any text counts for at least one."""

    def __init__(self, chars_per_token: float = 4.0) -> None:
        if not chars_per_token > 0:
            raise ValueError(f"chars_per_token must be above 0, got {chars_per_token!r}")
        self.chars_per_token = chars_per_token

    def count(self, text: str) -> int:
        return max(1, int(len(text) / self.chars_per_token)) if text else 0

    def __repr__(self) -> str:
        return f"CharacterEstimator({self.chars_per_token:g})"


class AnthropicEstimator(TokenCounter):
    """3.5 characters are a token, and each blank counts for a tenth of one more."""

    def count(self, text: str) -> int:
        if not text:
            return 0
        blanks = sum(map(str.isspace, text))
        return max(1, int(len(text) / 3.5 + 0.1 * blanks))

    def __repr__(self) -> str:
        return "AnthropicEstimator()"


class CachingCounter(TokenCounter):
    """Remembers what another counter said of the texts last asked about."""

    def __init__(self, counter: TokenCounter, max_cache_size: int = 10_000) -> None:
        if max_cache_size < 1:
            raise ValueError(f"max_cache_size must be at least 1, got {max_cache_size!r}")
        self._counter = counter
        self._size = max_cache_size
        self._known: OrderedDict[str | bytes, int] = OrderedDict()

    @property
    def exact(self) -> bool:
        return self._counter.exact

    def count(self, text: str) -> int:
        key = text if len(text) < _LONG_TEXT else hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        known = self._known.pop(key, None)
        if known is None:
            known = self._counter.count(text)
        self._known[key] = known  # now the latest
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return known

    def clear_cache(self) -> None:
        """Forget everything."""
        self._known.clear()

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"CachingCounter({self._counter!r})"


class TiktokenCounter(TokenCounter):
    """Counts with a vocabulary of tiktoken; estimates, with one warning, while the vocabulary is not on this machine.

    A text that the vocabulary does not take at once is counted in pieces; `measure` says that this is not exact.

    Raises MissingExtra when tiktoken is not installed. `vocabulary` is one of your own.
    """

    def __init__(
        self, encoding_name: str = _EARLIER, *, vocabulary: Vocabulary | None = None, sure: bool = True
    ) -> None:
        """`sure` False when it is not certain that the model has this vocabulary: counts are not exact then."""
        self.encoding_name = encoding_name
        self._vocabulary = vocabulary if vocabulary is not None else load_vocabulary(encoding_name)
        self._sure = sure
        self._estimator = CharacterEstimator()
        if self._vocabulary is None:
            _warn(
                encoding_name,
                f"the vocabulary {encoding_name!r} is not on this machine; tokens are estimated "
                f"(dragoman.ai.tokens.fetch_vocabulary({encoding_name!r}) fetches it)",
            )

    @property
    def exact(self) -> bool:
        return self._sure and self._vocabulary is not None

    def count(self, text: str) -> int:
        return self.measure(text).tokens

    def measure(self, text: str) -> TokenCount:
        if self._vocabulary is None:
            return TokenCount(self._estimator.count(text), False)
        try:
            return TokenCount(len(self._vocabulary.encode(text, disallowed_special=())), self._sure)
        except ValueError:  # such as a hundred thousand blanks, which it does not take at once
            if len(text) <= _PIECE:
                return TokenCount(self._estimator.count(text), False)
        starts = range(0, len(text), _PIECE)
        return TokenCount(sum(self.measure(text[start : start + _PIECE]).tokens for start in starts), False)

    @classmethod
    def for_model(cls, model: str) -> TiktokenCounter:
        """The counter for one of OpenAI's models; any other name gets the older vocabulary, and is not exact."""
        name = _bare(model)
        if _SINCE_4O.match(name):
            return cls(_LATER, sure=_SURE.match(name) is not None)
        return cls(_EARLIER, sure=_BEFORE_4O.match(name) is not None)

    def __repr__(self) -> str:
        return f"TiktokenCounter({self.encoding_name!r}, exact={self.exact})"


def get_token_counter(model: str) -> TokenCounter:
    """The counter for a model's name, with or without its provider. Never asks the network."""
    name = _bare(model)
    if _FAMILY.match(name):
        if HAS_TOKENIZER:
            return TiktokenCounter.for_model(name)
        _warn("tiktoken", "tiktoken is not installed; tokens are estimated (pip install 'dragoman[tokens]')")
    if name.startswith("claude"):
        return AnthropicEstimator()
    return CharacterEstimator(4.0)


def _bare(model: str) -> str:
    """The model's own name: without provider, and without the mark of a fine-tuned one."""
    name = model.strip().lower().rpartition("/")[2]
    return name.removeprefix("ft:").partition(":")[0] if name.startswith("ft:") else name


def _warn(what: str, text: str) -> None:
    if what not in _warned:
        _warned.add(what)
        _log.warning(text)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, ContentBlock) for part in value):
        return "\n".join(part.text for part in value if part.text)
    return json.dumps(value, ensure_ascii=False, default=str)
