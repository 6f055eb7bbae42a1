import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { StrictMode } from "react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { TYPES } from "./Component";
import { ICON_NAMES } from "./icons";
import type { WidgetAction } from "./types";
import { Widget } from "./Widget";

beforeEach(() => void vi.spyOn(console, "error"));
afterEach(() => expect(console.error).not.toHaveBeenCalled());

const card = (...children: unknown[]): unknown => ({ type: "Card", children });

function shown(widget: unknown, onAction?: (action: WidgetAction) => void | Promise<void>) {
  const sent: WidgetAction[] = [];
  const view = render(<Widget widget={widget} onAction={onAction ?? ((action) => void sent.push(action))} />);
  return { ...view, sent };
}

describe("every type", () => {
  test("of ChatKit is drawn", () => {
    expect([...TYPES].sort()).toEqual(
      "Badge Basic Box Button Caption Card Chart Checkbox Col DatePicker Divider Form Icon Image Input Label ListView ListViewItem Markdown RadioGroup Row Select Spacer Table Table.Cell Table.Row Text Textarea Title Transition"
        .split(" ")
        .sort(),
    );
  });

  test.each(TYPES)("%s without any field, and with fields of nonsense", (type) => {
    const nonsense = Object.fromEntries(
      "name value label options data series xAxis children src size width padding border status action onClickAction onChangeAction onSubmitAction confirm cancel defaultValue defaultChecked min max rows editable streaming color radius align limit colSpan pattern placeholder gap"
        .split(" ")
        .flatMap((field, index) => [[field, [null, -1, { toString: 1 }, [[]], "url(x)", true][index % 6]]]),
    );
    for (const node of [
      { type },
      { type, ...nonsense },
      { ...nonsense, type, children: [5, null, "x", { type: 5 }, { type }] },
    ]) {
      const { unmount, container } = shown(card(node));
      expect(container.querySelector(".dgw-card")).not.toBeNull();
      unmount();
    }
  });

  test("of a newer server shows what is in it, or that something is missing", () => {
    shown(
      card(
        { type: "Carousel", children: [{ type: "Text", value: "inside" }] },
        { type: "Hologram" },
        { type: "constructor" },
      ),
    );
    expect(screen.getByText("inside")).toBeTruthy();
    expect(screen.getByText("This part (Hologram) cannot be shown here.")).toBeTruthy();
    expect(screen.getByText("This part (constructor) cannot be shown here.")).toBeTruthy();
  });

  test.each([null, undefined, 5, "text", [], {}, { type: 5 }])("what is no widget is said to be none: %j", (widget) => {
    shown(widget);
    expect(screen.getByText("This widget cannot be shown.")).toBeTruthy();
  });
});

describe("hostile content", () => {
  const bad = "<img src=x onerror=window.ran=true>\u202Egpj";
  test("is shown as text wherever it is, and loads nothing", async () => {
    const everywhere = card(
      ...["Text", "Title", "Caption", "Markdown"].map((type) => ({ type, value: bad })),
      { type: "Badge", label: bad },
      { type: "Button", label: bad, iconStart: bad, onClickAction: { type: "x" } },
      { type: "Label", value: bad, fieldName: "f" },
      { type: "Input", name: "f", placeholder: bad, defaultValue: bad },
      { type: "Select", name: bad, options: [{ value: bad, label: bad }], placeholder: bad },
      { type: "Select", name: "s", searchable: true, options: [{ value: bad, label: bad, description: bad }] },
      { type: "RadioGroup", name: "r", options: [{ value: bad, label: bad }], ariaLabel: bad },
      { type: "Checkbox", name: "c", label: bad },
      { type: "Image", src: "https://evil.example/track.png", alt: bad },
      { type: "Image", src: "javascript:window.ran=true", alt: bad },
      { type: "Image", src: "//evil.example/a.png" },
      { type: "Icon", name: bad },
      { type: "Chart", data: [{ x: bad, y: 1 }], series: [{ type: "bar", dataKey: "y", label: bad }], xAxis: "x" },
      {
        type: "Table",
        children: [{ type: "Table.Row", children: [{ type: "Table.Cell", children: [{ type: "Text", value: bad }] }] }],
      },
      { type: "Box", background: "url(https://evil.example/b.png)", children: [] },
    );
    const { container } = shown({
      ...(everywhere as object),
      status: { text: bad, favicon: "https://evil.example/f.png" },
    });
    await screen.findAllByText(/gpj/);
    expect(container.querySelector("script, img, iframe, object, embed, image, use, foreignObject")).toBeNull();
    for (const element of container.querySelectorAll("*")) {
      for (const { name, value } of element.attributes) {
        expect(name).not.toMatch(/^on|^src/);
        if (name === "href") expect(value).toMatch(/^https?:\/\//);
        if (name === "style") expect(value).not.toContain("url");
      }
    }
    for (const link of screen.getAllByRole("link")) expect(link.getAttribute("rel")).toBe("noopener noreferrer");
    expect(container.textContent).not.toContain("\u202E");
    expect(container.textContent).toContain("U+202E");
    expect("ran" in window).toBe(false);
  });

  test("pictures of this server and of the widget itself are shown", () => {
    const { container } = shown(
      card(
        { type: "Image", src: "/files/a.png", alt: "a" },
        { type: "Image", src: "data:image/png;base64,AA==" },
        { type: "Image", src: "data:text/html,x" },
      ),
    );
    expect([...container.querySelectorAll("img")].map((image) => image.getAttribute("src"))).toEqual([
      "/files/a.png",
      "data:image/png;base64,AA==",
    ]);
  });

  test("a megabyte of text, 5,000 rows, 10,000 children and a deep tree stay usable", () => {
    const row = (n: number) => ({
      type: "Table.Row",
      children: [{ type: "Table.Cell", children: [{ type: "Text", value: String(n) }] }],
    });
    let deep: unknown = { type: "Text", value: "bottom" };
    for (let level = 0; level < 2000; level += 1) deep = { type: "Box", children: [deep] };
    const { container } = shown(
      card(
        { type: "Text", value: "a".repeat(1_000_000) },
        { type: "Table", children: Array.from({ length: 5000 }, (_, n) => row(n)) },
        { type: "Col", children: Array.from({ length: 10_000 }, () => ({ type: "Text", value: "x" })) },
        deep,
      ),
    );
    expect(container.querySelectorAll("*").length).toBeLessThan(2000);
    fireEvent.click(
      within(container.querySelector<HTMLElement>(".dgw-table") ?? container).getByRole("button", {
        name: /4,900 left/,
      }),
    );
    expect(container.querySelectorAll("tr")).toHaveLength(300);
  });
});

describe("actions", () => {
  test("carry their payload, who handles them and whether they stream", async () => {
    const { sent } = shown(
      card({
        type: "Button",
        label: "Go",
        onClickAction: { type: "go", payload: { id: 1 }, handler: "client", streaming: false },
      }),
    );
    await userEvent.click(screen.getByRole("button", { name: "Go" }));
    expect(sent).toEqual([{ type: "go", payload: { id: 1 }, handler: "client", streaming: false }]);
  });

  test("one at a time, and the button says that it waits", async () => {
    let finish = (): void => undefined;
    let calls = 0;
    shown(card({ type: "Button", label: "Go", onClickAction: { type: "go" } }), () => {
      calls += 1;
      return new Promise<void>((resolve) => (finish = resolve));
    });
    const button = screen.getByRole("button", { name: "Go" });
    await userEvent.click(button);
    await userEvent.click(button);
    expect(calls).toBe(1);
    expect(button.getAttribute("aria-busy")).toBe("true");
    expect(document.activeElement).toBe(button);
    await act(async () => finish());
    expect(button.getAttribute("aria-busy")).toBeNull();
  });

  test("with loadingBehavior container the whole widget waits, with none nothing does", async () => {
    let finish = (): void => undefined;
    const seen: string[] = [];
    shown(
      card(
        { type: "Button", label: "All", onClickAction: { type: "all", loadingBehavior: "container" } },
        { type: "Button", label: "None", onClickAction: { type: "none", loadingBehavior: "none" } },
      ),
      (action) => {
        seen.push(action.type);
        return new Promise<void>((resolve) => (finish = resolve));
      },
    );
    await userEvent.click(screen.getByRole("button", { name: "None" }));
    await userEvent.click(screen.getByRole("button", { name: "None" }));
    await userEvent.click(screen.getByRole("button", { name: "All" }));
    expect(screen.getByRole("group", { name: "Widget" }).getAttribute("aria-busy")).toBe("true");
    await userEvent.click(screen.getByRole("button", { name: "None" }));
    expect(seen).toEqual(["none", "none", "all"]);
    await act(async () => finish());
    expect(screen.getByRole("group", { name: "Widget" }).getAttribute("aria-busy")).toBeNull();
  });

  test("that fail are told, and can be tried again", async () => {
    let fails = true;
    shown(card({ type: "Button", label: "Go", onClickAction: { type: "go" } }), () =>
      fails ? Promise.reject(new Error("no \u202Eserver")) : Promise.resolve(),
    );
    await userEvent.click(screen.getByRole("button", { name: "Go" }));
    expect((await screen.findByRole("alert")).textContent).toBe("This could not be sent: no ‹U+202E›server");
    fails = false;
    await userEvent.click(screen.getByRole("button", { name: "Go" }));
    await waitFor(() => expect(screen.queryByRole("alert")).toBeNull());
  });

  test("without somebody to send them nothing can be clicked", () => {
    render(
      <Widget
        widget={card({ type: "Button", label: "Go", onClickAction: { type: "go" } }, { type: "Input", name: "a" })}
      />,
    );
    expect(screen.getByRole<HTMLButtonElement>("button").disabled).toBe(true);
    expect(screen.getByRole<HTMLInputElement>("textbox").disabled).toBe(true);
  });

  test("entries of a list are buttons as a whole, named by what they say; limit shows the first", async () => {
    const item = (n: number) => ({
      type: "ListViewItem",
      key: String(n),
      onClickAction: { type: "open", payload: n },
      children: [{ type: "Text", value: `Entry ${n}` }],
    });
    const { sent } = shown({
      type: "ListView",
      limit: 2,
      status: { text: "Found", icon: "search" },
      children: [1, 2, 3].map(item),
    });
    expect(screen.getAllByRole("listitem")).toHaveLength(2);
    await userEvent.click(screen.getByRole("button", { name: /1 left/ }));
    await userEvent.click(screen.getByRole("button", { name: "Entry 3" }));
    expect(sent[0]).toMatchObject({ type: "open", payload: 3 });
  });
});

describe("forms", () => {
  const fields = [
    { type: "Label", value: "Your name", fieldName: "person.name" },
    { type: "Input", name: "person.name", required: true },
    { type: "Input", name: "person.email", inputType: "email", placeholder: "Email" },
    { type: "Textarea", name: "notes", defaultValue: "none" },
    {
      type: "Select",
      name: "size",
      options: [
        { value: "s", label: "Small" },
        { value: "m", label: "Medium" },
      ],
      placeholder: "Size",
      defaultValue: "s",
    },
    { type: "DatePicker", name: "when", defaultValue: "2026-05-06T10:00:00Z", min: "2026-01-01", placeholder: "Day" },
    { type: "Checkbox", name: "agree", label: "I agree", required: true },
    {
      type: "RadioGroup",
      name: "way",
      ariaLabel: "Way",
      options: [
        { value: "a", label: "A way" },
        { value: "b", label: "B way" },
      ],
      defaultValue: "a",
    },
    { type: "Text", value: "Edit me", editable: { name: "edited" } },
    { type: "Input", name: "off", defaultValue: "x", disabled: true },
    { type: "Button", label: "Send", submit: true },
    { type: "Button", label: "Leave", onClickAction: { type: "form.cancel", payload: { call: "c1" } } },
  ];
  const form = card({
    type: "Form",
    onSubmitAction: { type: "form.submit", payload: { call: "c1" } },
    children: fields,
  });

  test("say what is missing, go there, and send all values nested by name", async () => {
    const user = userEvent.setup();
    const { sent } = shown(form);
    const name = screen.getByRole("textbox", { name: "Your name" });
    await user.click(screen.getByRole("button", { name: "Send" }));
    expect(sent).toEqual([]);
    expect(document.activeElement).toBe(name);
    expect(name.getAttribute("aria-invalid")).toBe("true");
    expect(document.getElementById(name.getAttribute("aria-describedby") ?? "")?.textContent).toBe(
      "Please fill in this field.",
    );

    await user.type(name, "Ada");
    expect(name.getAttribute("aria-invalid")).toBeNull();
    await user.type(screen.getByRole("textbox", { name: "Email" }), "ada");
    await user.click(screen.getByRole("checkbox", { name: /I agree/ }));
    await user.click(screen.getByRole("button", { name: "Send" }));
    expect(screen.getByText("Please enter an email address.")).toBeTruthy();

    await user.type(screen.getByRole("textbox", { name: "Email" }), "@a.example");
    await user.selectOptions(screen.getByRole("combobox", { name: "Size" }), "Medium");
    await user.click(within(screen.getByRole("radiogroup", { name: "Way" })).getByRole("radio", { name: "B way" }));
    await user.type(screen.getByRole("textbox", { name: "Edited" }), "!");
    await user.keyboard("{Enter}");
    expect(sent).toEqual([
      {
        type: "form.submit",
        handler: "server",
        streaming: true,
        payload: {
          call: "c1",
          person: { name: "Ada", email: "ada@a.example" },
          notes: "none",
          size: "m",
          when: "2026-05-06",
          agree: true,
          way: "b",
          edited: "Edit me!",
        },
      },
    ]);
  });

  test("a button in a form that does not submit sends without asking for the rest", async () => {
    const { sent } = shown(form);
    await userEvent.click(screen.getByRole("button", { name: "Leave" }));
    expect(sent[0]).toMatchObject({ type: "form.cancel", payload: { call: "c1", notes: "none" } });
  });

  test("a card as a form sends its fields by its button, and not twice", async () => {
    let finish = (): void => undefined;
    const sent: WidgetAction[] = [];
    shown(
      {
        type: "Card",
        asForm: true,
        confirm: { label: "Save", action: { type: "save" } },
        cancel: { label: "Discard", action: { type: "discard" } },
        children: [{ type: "Input", name: "title", required: true }],
      },
      (action) => {
        sent.push(action);
        return new Promise<void>((resolve) => (finish = resolve));
      },
    );
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    expect(sent).toEqual([]);
    await userEvent.type(screen.getByRole("textbox", { name: "Title" }), "T{Enter}{Enter}");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await userEvent.click(screen.getByRole("button", { name: "Discard" }));
    expect(sent).toEqual([{ type: "save", payload: { title: "T" }, handler: "server", streaming: true }]);
    await act(async () => finish());
  });

  test("changes are told with the new value", async () => {
    const onChangeAction = { type: "changed", payload: { of: 1 } };
    const { sent } = shown(
      card(
        { type: "Checkbox", name: "on", label: "On", onChangeAction },
        { type: "Select", name: "s", onChangeAction, clearable: true, options: [{ value: "a", label: "A" }] },
      ),
    );
    await userEvent.click(screen.getByRole("checkbox"));
    await userEvent.selectOptions(screen.getByRole("combobox"), "A");
    await userEvent.click(screen.getByRole("button", { name: "Clear S" }));
    expect(sent.map((action) => action.payload)).toEqual([
      { of: 1, on: true },
      { of: 1, s: "a" },
      { of: 1, s: "" },
    ]);
  });

  test("the demo's form, and its settled card shows what was answered", async () => {
    const input = { type: "Input", name: "name", placeholder: "Your name", required: true };
    const { sent, rerender } = shown(
      card({
        type: "Form",
        onSubmitAction: { type: "form.submit", payload: { call: "1" } },
        children: [input, { type: "Button", label: "Send", submit: true }],
      }),
    );
    await userEvent.type(screen.getByRole("textbox", { name: "Your name" }), "Ada{Enter}");
    expect(sent[0]?.payload).toEqual({ call: "1", name: "Ada" });
    rerender(
      <Widget widget={card({ type: "Form", children: [{ ...input, disabled: true, defaultValue: "Ada L." }] })} />,
    );
    expect(screen.getByRole<HTMLInputElement>("textbox").value).toBe("Ada L.");
    expect(screen.getByRole<HTMLInputElement>("textbox").disabled).toBe(true);
  });

  test("what was filled in stays while the widget around it changes", async () => {
    const widget = (value: string): unknown =>
      card(
        { type: "Text", id: "t", value },
        { type: "Form", children: [{ type: "Input", name: "a", defaultValue: "d" }] },
      );
    const { rerender } = shown(widget("one"));
    await userEvent.type(screen.getByRole("textbox"), "ef");
    rerender(<Widget widget={widget("two")} onAction={() => undefined} />);
    expect(screen.getByText("two")).toBeTruthy();
    expect(screen.getByRole<HTMLInputElement>("textbox").value).toBe("def");
  });

  test("work in React's strict mode, where everything is set up twice", async () => {
    const sent: WidgetAction[] = [];
    render(
      <StrictMode>
        <Widget widget={form} onAction={(action) => void sent.push(action)} />
      </StrictMode>,
    );
    await userEvent.type(screen.getByRole("textbox", { name: "Your name" }), "Ada");
    await userEvent.click(screen.getByRole("checkbox"));
    await userEvent.click(screen.getByRole("button", { name: "Send" }));
    expect(sent).toHaveLength(1);
    expect(sent[0]?.payload).toMatchObject({ person: { name: "Ada" }, agree: true, when: "2026-05-06" });
  });

  test("fields of two forms with one name are two fields", async () => {
    const one = (type: string): unknown => ({
      type: "Form",
      onSubmitAction: { type },
      children: [
        { type: "Label", value: type, fieldName: "a" },
        { type: "Input", name: "a" },
      ],
    });
    const { sent } = shown(card(one("first"), one("second")));
    await userEvent.type(screen.getByRole("textbox", { name: "second" }), "x{Enter}");
    expect(sent).toEqual([{ type: "second", payload: { a: "x" }, handler: "server", streaming: true }]);
  });
});

describe("a menu with search", () => {
  const select = {
    type: "Select",
    name: "city",
    searchable: true,
    placeholder: "City",
    options: [
      { value: "p", label: "Paris", description: "France" },
      { value: "l", label: "Lyon", disabled: true },
      { value: "r", label: "Rome", description: "Italy" },
    ],
  };

  test("is worked by keyboard alone", async () => {
    const user = userEvent.setup();
    const { sent } = shown(
      card({
        type: "Form",
        onSubmitAction: { type: "go" },
        children: [select, { type: "Button", label: "Send", submit: true }],
      }),
    );
    await user.tab();
    const box = screen.getByRole<HTMLInputElement>("combobox", { name: "City" });
    expect(document.activeElement).toBe(box);
    await user.keyboard("{ArrowDown}{ArrowDown}");
    const active = document.getElementById(box.getAttribute("aria-activedescendant") ?? "");
    expect(active?.textContent).toContain("Rome");
    await user.keyboard("{Enter}");
    expect(box.value).toBe("Rome");
    expect(box.getAttribute("aria-expanded")).toBe("false");
    await user.keyboard("fran");
    expect(screen.getAllByRole("option")).toHaveLength(1);
    await user.keyboard("{Enter}{Tab}{Enter}");
    expect(sent[0]?.payload).toEqual({ city: "p" });
  });

  test("what is switched off cannot be chosen, and Escape closes", async () => {
    const user = userEvent.setup();
    shown(card(select));
    const box = screen.getByRole<HTMLInputElement>("combobox");
    await user.click(box);
    await user.click(screen.getByRole("option", { name: "Lyon" }));
    expect(box.getAttribute("aria-expanded")).toBe("true");
    await user.keyboard("zzz");
    expect(screen.getByText("Nothing found")).toBeTruthy();
    await user.keyboard("{Escape}");
    expect(box.value).toBe("");
    expect(screen.queryByRole("option")).toBeNull();
  });
});

test("a card that is folded shows its status and unfolds", async () => {
  const { container } = shown({
    type: "Card",
    collapsed: true,
    status: { text: "Done", icon: "check" },
    children: [{ type: "Text", value: "inside" }],
  });
  expect(container.querySelector("details")?.open).toBe(false);
  await userEvent.click(screen.getByText("Done"));
  expect(container.querySelector("details")?.open).toBe(true);
});

test("all built-in icons have drawings of their own kind", () => {
  expect(ICON_NAMES).toHaveLength(64);
  const { container } = shown(
    card(
      ...ICON_NAMES.map((name) => ({ type: "Icon", name })),
      { type: "Icon", name: "lucide:calendar" },
      { type: "Icon", name: "lucide:unheard-of" },
    ),
  );
  expect(container.querySelectorAll("svg[data-icon='empty-circle']")).toHaveLength(2);
  expect(container.querySelectorAll("svg[data-icon='calendar']")).toHaveLength(2);
});

test("a theme of the widget's own is said to the style", () => {
  const { container } = shown({ type: "Card", theme: "dark", children: [] });
  expect(container.querySelector(".dgw")?.getAttribute("data-theme")).toBe("dark");
});
