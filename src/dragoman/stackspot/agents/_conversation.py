"""`ConversationScope` and its relatives, where programs that were written for `stkai` look for them."""

from __future__ import annotations

from dragoman.stackspot.conversation import ConversationContext, ConversationScope, UseConversation

__all__ = ["ConversationContext", "ConversationScope", "UseConversation"]
