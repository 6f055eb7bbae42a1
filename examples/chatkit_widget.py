from dragoman.chatkit.actions import ActionConfig
from dragoman.chatkit.server import diff_widget
from dragoman.chatkit.widgets import Button, Card, Markdown, Title

before = Card(
    children=[
        Title(value="Weather"),
        Markdown(id="text", value="It is"),
        Button(label="Again", onClickAction=ActionConfig(type="weather.again", payload={"city": "Bern"})),
    ]
)
print(before.model_dump_json())

after = before.model_copy(deep=True)
after.children[1].value = "It is 20 degrees in Bern."
for update in diff_widget(before, after):
    print(update.model_dump_json(exclude_none=True))
