// Components that hold others, and the space between them.

import { type ReactElement, type ReactNode, useContext, useId, useState } from "react";
import { Children, Component } from "./Component";
import { actionOf, nodesOf, text } from "./fields";
import { FormContext, FormStore } from "./formState";
import { useAct } from "./host";
import { InsideForm } from "./insideForm";
import { box, color, size, space } from "./style";
import type { ActionConfig, WidgetNode } from "./types";

function directionOf(node: WidgetNode): "row" | "column" {
  if (node.type === "Row") return "row";
  if (node.type === "Col") return "column";
  return node["direction"] === "row" ? "row" : "column";
}

export function Boxed({ node }: { node: WidgetNode }): ReactElement {
  const direction = directionOf(node);
  return (
    <div className={direction === "row" ? "dgw-row" : "dgw-col"} style={box(node, direction)}>
      <Children of={node.children} />
    </div>
  );
}

export function Form({ node }: { node: WidgetNode }): ReactElement {
  const direction = directionOf(node);
  return (
    <FormScopeOf action={actionOf(node["onSubmitAction"])}>
      {(submit) => (
        <Frame onSubmit={submit}>
          <div className={direction === "row" ? "dgw-row dgw-form" : "dgw-col dgw-form"} style={box(node, direction)}>
            <Children of={node.children} />
          </div>
        </Frame>
      )}
    </FormScopeOf>
  );
}

/** Fields that belong together. Their names are theirs alone, also beside other forms. */
export function FormScopeOf(props: {
  action: ActionConfig | undefined;
  children: (submit: () => void) => ReactNode;
}): ReactElement {
  const [store] = useState(() => new FormStore());
  const id = useId();
  return (
    <FormContext value={{ store, id, sends: true, submit: null }}>
      <Submitting action={props.action}>{props.children}</Submitting>
    </FormContext>
  );
}

function Submitting(props: {
  action: ActionConfig | undefined;
  children: (submit: () => void) => ReactNode;
}): ReactElement {
  const scope = useContext(FormContext);
  const act = useAct("container");
  const submit = (fallback?: () => void): void => {
    if (!act.isAble || !scope.store.check()) return;
    if (props.action !== undefined) act.run(props.action);
    else fallback?.();
  };
  return <FormContext value={{ ...scope, submit }}>{props.children(() => submit())}</FormContext>;
}

/** A form of the browser's; inside another one, which browsers do not know, a group. */
export function Frame({ onSubmit, children }: { onSubmit: () => void; children: ReactNode }): ReactElement {
  const isInside = useContext(InsideForm);
  if (isInside) return <div role="group">{children}</div>;
  return (
    <InsideForm value={true}>
      <form
        noValidate
        className="dgw-frame"
        onSubmit={(event) => {
          event.preventDefault();
          event.stopPropagation();
          onSubmit();
        }}
      >
        {children}
      </form>
    </InsideForm>
  );
}

export function Divider({ node }: { node: WidgetNode }): ReactElement {
  const around = space(node["spacing"]);
  return (
    <hr
      className={node["flush"] === true ? "dgw-divider dgw-flush" : "dgw-divider"}
      style={{
        ...(color(node["color"]) !== undefined && { borderColor: color(node["color"]) }),
        ...(size(node["size"]) !== undefined && { borderTopWidth: size(node["size"]) }),
        ...(around !== undefined && { marginBlock: around }),
      }}
    />
  );
}

export function Spacer({ node }: { node: WidgetNode }): ReactElement {
  const least = size(node["minSize"]);
  return <div className="dgw-spacer" style={least === undefined ? {} : { minWidth: least, minHeight: least }} />;
}

/** Its child fades in when it is another one than before. */
export function Transition({ node }: { node: WidgetNode }): ReactElement | null {
  const [child] = nodesOf(node.children);
  if (child === undefined) return null;
  const identity = `${child.type}:${text(child.key, text(child.id))}`;
  return (
    <div key={identity} className="dgw-transition">
      <Component node={child} />
    </div>
  );
}
