"""What a widget tells the server when the user clicks, submits or chooses: actions, and how widgets name them.

The payload of an action comes from the browser: treat it as input of the user's.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, FieldSerializationInfo, field_serializer, model_validator

Handler = Literal["client", "server"]
LoadingBehavior = Literal["auto", "none", "self", "container"]

DEFAULT_HANDLER: Handler = "server"
DEFAULT_LOADING_BEHAVIOR: LoadingBehavior = "auto"


class ActionConfig(BaseModel):
    """An action as a widget carries it: what to send, who handles it, and what the front end does meanwhile.

    `streaming=False` sends it as a synchronous action, which is allowed while an answer streams.
    """

    model_config = ConfigDict(defer_build=True, extra="allow")

    type: str
    payload: Any = None
    handler: Handler = DEFAULT_HANDLER
    loadingBehavior: LoadingBehavior = DEFAULT_LOADING_BEHAVIOR
    streaming: bool = True

    @field_serializer("payload")
    def _whole(self, payload: Any, info: FieldSerializationInfo) -> Any:
        """With its nulls, which a dump of the widget leaves out elsewhere: the server reads it by its own class."""
        if not isinstance(payload, BaseModel):
            return payload
        return payload.model_dump(mode=info.mode, by_alias=bool(info.by_alias))


TType = TypeVar("TType", bound=str)
TPayload = TypeVar("TPayload")


class Action(BaseModel, Generic[TType, TPayload]):
    """An action as it arrives.

    `Buy = Action[Literal["shop.buy"], BuyPayload]` names one kind of it: `Buy.create(BuyPayload(...))` gives what a
    widget needs, `Buy.model_validate(action.model_dump())` checks what has come.
    """

    model_config = ConfigDict(defer_build=True)

    type: TType = Field(frozen=True)
    payload: TPayload = None  # type: ignore[assignment]  # an action without a payload has None, whatever its type says

    @model_validator(mode="before")
    @classmethod
    def _know_own_type(cls, data: Any) -> Any:
        if isinstance(data, dict) and "type" not in data and (name := cls._only_type()) is not None:
            return {"type": name, **data}
        return data

    @classmethod
    def _only_type(cls) -> str | None:
        """The type, where the class stands for exactly one."""
        annotation = cls.model_fields["type"].annotation
        names = get_args(annotation) if get_origin(annotation) is Literal else ()
        return names[0] if len(names) == 1 and isinstance(names[0], str) else None

    @classmethod
    def create(
        cls,
        payload: TPayload,
        handler: Handler = DEFAULT_HANDLER,
        loading_behavior: LoadingBehavior = DEFAULT_LOADING_BEHAVIOR,
        streaming: bool = True,
    ) -> ActionConfig:
        """The action for a widget, with the type of this class. Raises TypeError for a class without a single one."""
        name = cls._only_type()
        if name is None:
            raise TypeError(
                f"{cls.__name__} has no single type; expected a class such as Action[Literal['shop.buy'], Payload]"
            )
        return ActionConfig(
            type=name, payload=payload, handler=handler, loadingBehavior=loading_behavior, streaming=streaming
        )
