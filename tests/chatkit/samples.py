"""A widget component of each class, with every field that it has."""

from __future__ import annotations

from typing import Any

ACTION = {
    "type": "shop.buy",
    "payload": {"id": 7, "note": None},
    "handler": "client",
    "loadingBehavior": "self",
    "streaming": False,
}
SIZES = {
    **dict.fromkeys(("height", "width", "size", "minHeight", "minWidth", "minSize"), 10),
    **dict.fromkeys(("maxHeight", "maxWidth", "maxSize"), "50%"),
}
COLOR = {"dark": "#fff", "light": "red-100"}
TEXT = {"type": "Text", "value": "hello"}
BOX = {
    "children": [TEXT],
    "align": "baseline",
    "justify": "between",
    "wrap": "wrap-reverse",
    "flex": 1.5,
    "gap": "2px",
    **SIZES,
    "padding": {"top": 1, "x": "2rem"},
    "margin": 0.5,
    "border": {"x": 1, "top": {"size": 2, "color": COLOR, "style": "dashed"}},
    "radius": "2xl",
    "background": COLOR,
    "aspectRatio": 1.5,
}
LINES = {"color": COLOR, "weight": "semibold", "textAlign": "center", "truncate": True, "maxLines": 2}
FIELD = {
    "name": "user.name",
    "defaultValue": "Ada",
    "required": True,
    "pattern": ".+",
    "placeholder": "Name",
    "allowAutofillExtensions": False,
    "autoSelect": True,
    "autoFocus": True,
    "disabled": False,
    "variant": "soft",
    "size": "3xl",
    "gutterSize": "2xs",
}
CONTROL = {"variant": "ghost", "size": "3xs", "pill": True, "block": True, "clearable": True, "disabled": False}

COMPONENTS: list[dict[str, Any]] = [
    {"type": "Text", "value": "a", "streaming": True, "italic": True, "lineThrough": False, **LINES, "width": 20}
    | {"size": "xl", "minLines": 1, "editable": {"name": "note", "autoFocus": True, "autoComplete": "off"}},
    {"type": "Text", "value": "a", "editable": False},
    {"type": "Title", "value": "a", **LINES, "size": "5xl"},
    {"type": "Caption", "value": "a", **LINES, "size": "lg"},
    {"type": "Markdown", "value": "*a*", "streaming": False},
    {"type": "Badge", "label": "new", "color": "discovery", "variant": "outline", "size": "lg", "pill": True},
    {"type": "Icon", "name": "lucide:anchor", "color": "success", "size": "3xl"},
    {"type": "Image", "src": "/a.png", "alt": "a", "fit": "scale-down", "position": "bottom right", "radius": "100%"}
    | {
        "frame": True,
        "flush": True,
        **SIZES,
        "margin": {"y": 3},
        "background": "surface",
        "aspectRatio": "16/9",
        "flex": 1,
    },
    {"type": "Table", "children": [{"type": "Table.Row", "children": [{"type": "Table.Cell", "children": [TEXT]}]}]},
    {"type": "Table.Row", "children": [], "header": True},
    {"type": "Table.Cell", "children": [TEXT], "width": 3, "padding": 1, "colSpan": 2, "rowSpan": 1}
    | {"align": "end", "vAlign": "center", "colSize": "xl"},
    {"type": "Box", **BOX, "direction": "row"},
    {"type": "Row", **BOX},
    {"type": "Col", **BOX},
    {"type": "Form", **BOX, "direction": "col", "onSubmitAction": ACTION},
    {"type": "Divider", "color": "subtle", "size": 1, "spacing": "2px", "flush": True},
    {"type": "Spacer", "minSize": 4},
    {"type": "Transition", "children": TEXT},
    {"type": "Transition", "children": None},
    {"type": "ListViewItem", "children": [TEXT], "onClickAction": ACTION, "gap": 1, "align": "stretch"},
    {
        "type": "Button",
        "submit": True,
        "label": "Go",
        "onClickAction": ACTION,
        "iconStart": "play",
        "iconEnd": "vendor:x",
    }
    | {"style": "primary", "iconSize": "2xl", "color": "caution", "variant": "solid", "size": "md", "pill": True}
    | {"uniform": True, "block": False, "disabled": True},
    {
        "type": "Select",
        "name": "size",
        "options": [{"value": "s", "label": "S", "disabled": True, "description": "small"}],
    }
    | {"onChangeAction": ACTION, "placeholder": "Size", "defaultValue": "s", **CONTROL, "searchable": True},
    {
        "type": "DatePicker",
        "name": "day",
        "onChangeAction": ACTION,
        "placeholder": "Day",
        "side": "left",
        "align": "end",
    }
    | {"defaultValue": "2026-01-05", "min": "2026-01-01T00:00:00Z", "max": "2026-12-31T00:00:00", **CONTROL},
    {"type": "Checkbox", "name": "ok", "label": "OK", "defaultChecked": True, "onChangeAction": ACTION}
    | {"disabled": False, "required": True},
    {"type": "Input", **FIELD, "inputType": "email", "pill": True},
    {"type": "Textarea", **FIELD, "rows": 2, "autoResize": True, "maxRows": 9},
    {"type": "Label", "value": "Name", "fieldName": "user.name", "size": "sm", "weight": "bold", "textAlign": "end"}
    | {"color": "prose"},
    {
        "type": "RadioGroup",
        "name": "r",
        "options": [{"label": "A", "value": "a", "disabled": False}],
        "ariaLabel": "which",
    }
    | {"onChangeAction": ACTION, "defaultValue": "a", "direction": "col", "disabled": False, "required": True},
    {
        "type": "Chart",
        "data": [{"day": "Mon", "n": 1, "m": 2.5}],
        "xAxis": {"dataKey": "day", "hide": True, "labels": {"Mon": "M"}},
    }
    | {
        "series": [
            {"type": "bar", "label": None, "dataKey": "n", "stack": "s", "color": COLOR},
            {"type": "area", "label": "m", "dataKey": "m", "stack": "s", "color": "blue", "curveType": "stepAfter"},
            {"type": "line", "label": "m", "dataKey": "m", "color": "pink", "curveType": "basisOpen"},
        ]
    }
    | {
        "showYAxis": True,
        "showLegend": False,
        "showTooltip": True,
        "barGap": 1,
        "barCategoryGap": 2,
        "flex": "1",
        **SIZES,
    }
    | {"aspectRatio": 2},
]

ROOTS: list[dict[str, Any]] = [
    {"type": "Card", "asForm": True, "children": [TEXT], "background": "surface", "size": "full", "padding": {"y": 2}}
    | {"border": 1, "status": {"text": "Working", "icon": "bolt"}, "collapsed": False, "theme": "dark"}
    | {"confirm": {"label": "Yes", "action": ACTION}, "cancel": {"label": "No", "action": ACTION}},
    {"type": "ListView", "children": [{"type": "ListViewItem", "children": [TEXT]}], "limit": "auto", "theme": "light"}
    | {"status": {"text": "Found", "favicon": "https://example.com/i.png", "frame": True}},
    {
        "type": "Basic",
        "children": [TEXT],
        "theme": "dark",
        "direction": "row",
        "gap": 2,
        "padding": 1,
        "align": "center",
    }
    | {"justify": "end"},
]
