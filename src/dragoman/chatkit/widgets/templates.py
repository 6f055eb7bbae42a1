"""Widgets from `.widget` files: a Jinja text that renders to the JSON of a widget, and a schema of its data.

A template is code, perhaps another's, so it runs in Jinja's sandbox. Jinja is loaded with the first template.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from typing_extensions import deprecated

from dragoman.chatkit.widgets.roots import BasicRoot, DynamicWidgetRoot
from dragoman.core.errors import MissingExtra

if TYPE_CHECKING:
    from jinja2 import Environment, Template

VERSION = "1.0"


class WidgetTemplate:
    """A widget with holes, which `build` fills.

    `definition` is the content of a `.widget` file: `version` ("1.0"), `name`, `template` (Jinja text or a template
    that is ready), `jsonSchema`; other keys are ignored. Names that the data does not have are errors; write values
    as `{{ value | tojson }}`.
    """

    def __init__(self, definition: dict[str, Any]) -> None:
        self.version = definition["version"]
        if self.version != VERSION:
            raise ValueError(f"widget files of version {self.version!r} are unknown; expected {VERSION!r}")
        self.name = definition["name"]
        template = definition["template"]
        self.template: Template = _sandbox().from_string(template) if isinstance(template, str) else template
        self.data_schema: dict[str, Any] = definition.get("jsonSchema", {})

    @classmethod
    def from_file(cls, file_path: str | Path) -> WidgetTemplate:
        """The template in a file; a relative path starts at the directory of the source file that calls this."""
        path = Path(file_path)
        if not path.is_absolute():
            path = Path(sys._getframe(1).f_code.co_filename).resolve().parent / path
        return cls(json.loads(path.read_text("utf-8")))

    def build(self, data: dict[str, Any] | BaseModel | None = None, *, validate: bool = False) -> DynamicWidgetRoot:
        """The widget for this data; `validate` checks the data against the file's schema first.

        Raises ValueError if the data does not fit the schema, or if what was rendered is no widget.
        """
        return DynamicWidgetRoot.model_validate(self._render(data, validate=validate))

    @deprecated("WidgetTemplate.build_basic is deprecated. Use WidgetTemplate.build instead.")
    def build_basic(self, data: dict[str, Any] | BaseModel | None = None) -> BasicRoot:
        """The widget for this data, which must be a Basic root."""
        return BasicRoot.model_validate(self._render(data))

    def _render(self, data: dict[str, Any] | BaseModel | None, *, validate: bool = False) -> Any:
        values = data.model_dump() if isinstance(data, BaseModel) else data or {}
        if validate:
            _check(self.name, self.data_schema, data.model_dump(mode="json") if isinstance(data, BaseModel) else values)
        text = self.template.render(values)
        try:
            return json.loads(text)
        except ValueError as error:
            raise ValueError(f"the template of widget {self.name!r} did not render to JSON: {error}") from error


@cache
def _sandbox() -> Environment:
    try:
        from jinja2 import StrictUndefined, Undefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise MissingExtra("a widget template", "chatkit") from error

    def jsonable(value: Any) -> Any:
        """What `tojson` makes of a value that JSON does not have: dates and models are written as elsewhere here."""
        return str(value) if isinstance(value, Undefined) else to_jsonable_python(value)  # `str` names what is missing

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "default": jsonable}
    return environment


def _refuse(uri: str) -> Any:
    raise ValueError(f"the schema {uri!r} is not here, and nothing is fetched")


def _check(name: str, schema: dict[str, Any], data: Any) -> None:
    try:
        import jsonschema_rs
    except ImportError as error:
        raise MissingExtra("checking the data of a widget template", "protocol") from error
    faults = [
        f"{'.'.join(map(str, fault.instance_path)) or 'data'}: {fault.message}"
        for fault in jsonschema_rs.validator_for(schema, retriever=_refuse).iter_errors(data)
    ]
    if faults:
        raise ValueError(f"the data does not fit the schema of widget {name!r}: {'; '.join(faults)}")
