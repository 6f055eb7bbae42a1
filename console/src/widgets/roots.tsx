// The outermost components: cards and lists.

import { type ReactElement, type ReactNode, useContext, useState } from "react";
import { head, Plain, visible } from "../markdown";
import { Children } from "./Component";
import { Status } from "./content";
import { actionOf, count, flag, isRecord, nodesOf, oneOf, text } from "./fields";
import { FormContext } from "./formState";
import { useAct, useHost } from "./host";
import { FormScopeOf, Frame } from "./layout";
import { More } from "./More";
import { border, box, color, padding, space } from "./style";
import type { ActionConfig, WidgetNode } from "./types";

interface CardAction {
  readonly label: string;
  readonly action: ActionConfig;
}

function cardAction(value: unknown): CardAction | undefined {
  const action = isRecord(value) ? actionOf(value["action"]) : undefined;
  return isRecord(value) && action !== undefined ? { label: head(text(value["label"], "OK"), 200), action } : undefined;
}

export function themeOf(node: WidgetNode): "light" | "dark" | undefined {
  return oneOf(node["theme"], ["light", "dark"]);
}

export function Card({ node }: { node: WidgetNode }): ReactElement {
  const confirm = cardAction(node["confirm"]);
  const cancel = cardAction(node["cancel"]);
  const isForm = flag(node["asForm"]);
  const inside = (submit: (() => void) | null): ReactNode => (
    <>
      <div className="dgw-card-body" style={{ ...padding(node["padding"]) }}>
        <Children of={node.children} />
      </div>
      {(confirm !== undefined || cancel !== undefined) && (
        <div className="dgw-card-foot">
          {cancel !== undefined && <FootButton {...cancel} isMain={false} submit={null} />}
          {confirm !== undefined && <FootButton {...confirm} isMain submit={submit} />}
        </div>
      )}
    </>
  );
  const body = isForm ? (
    <FormScopeOf action={confirm?.action}>{(submit) => <Frame onSubmit={submit}>{inside(submit)}</Frame>}</FormScopeOf>
  ) : (
    inside(null)
  );
  const background = color(node["background"]);
  return (
    <div
      className={`dgw-card dgw-card-${oneOf(node["size"], ["sm", "md", "lg", "full"]) ?? "md"}`}
      style={{ ...border(node["border"]), ...(background !== undefined && { background }) }}
    >
      {flag(node["collapsed"]) ? (
        <details className="dgw-collapsed">
          <summary>
            {isRecord(node["status"]) ? <Status status={node["status"]} /> : <Plain text={titleOf(node)} />}
          </summary>
          {body}
        </details>
      ) : (
        <>
          {isRecord(node["status"]) && (
            <div className="dgw-card-status">
              <Status status={node["status"]} />
            </div>
          )}
          {body}
        </>
      )}
    </div>
  );
}

function titleOf(node: WidgetNode): string {
  return head(wordsOf(node, 20) || "Details", 120);
}

function FootButton(props: CardAction & { isMain: boolean; submit: (() => void) | null }): ReactElement {
  const { isBusy } = useHost();
  const form = useContext(FormContext);
  const act = useAct("container");
  return (
    <button
      type="button"
      className={`dgw-button dgw-control dgw-size-md ${props.isMain ? "dgw-solid dgw-hue-primary" : "dgw-outline dgw-hue-secondary"}`}
      disabled={!act.isAble}
      aria-disabled={isBusy || undefined}
      onClick={() => {
        if (isBusy) return;
        if (props.submit !== null && form.submit !== null) form.submit();
        else act.run(props.action);
      }}
    >
      <Plain text={props.label} />
    </button>
  );
}

const AUTO_LIMIT = 5;

export function ListView({ node }: { node: WidgetNode }): ReactElement {
  const items = nodesOf(node.children);
  const limit = node["limit"] === "auto" ? AUTO_LIMIT : (count(node["limit"]) ?? 100);
  const [more, setMore] = useState(0);
  const shown = items.slice(0, Math.max(1, limit) + more);
  return (
    <div className="dgw-list">
      {isRecord(node["status"]) && (
        <div className="dgw-card-status">
          <Status status={node["status"]} />
        </div>
      )}
      <ul>
        {shown.map((item, index) => (
          <li key={String(item.key ?? item.id ?? index)}>
            {item.type === "ListViewItem" ? <ListViewItem node={item} /> : <Children of={[item]} />}
          </li>
        ))}
      </ul>
      {shown.length < items.length && (
        <More left={items.length - shown.length} onMore={() => setMore(more + Math.max(100, limit))} />
      )}
    </div>
  );
}

/** An entry; one with an action has a button over all of it, below whatever in it can be clicked itself. */
export function ListViewItem({ node }: { node: WidgetNode }): ReactElement {
  const { isBusy } = useHost();
  const act = useAct("self");
  const action = actionOf(node["onClickAction"]);
  const gap = space(node["gap"]);
  const name = visible(head(wordsOf(node, 50), 200)) || "Open";
  return (
    <div className={action === undefined ? "dgw-item" : "dgw-item dgw-clickable"}>
      {action !== undefined && (
        <button
          type="button"
          className="dgw-cover"
          aria-label={name}
          aria-busy={act.isPending || undefined}
          aria-disabled={act.isPending || isBusy || undefined}
          disabled={!act.isAble}
          onClick={() => act.run(action)}
        />
      )}
      <div className="dgw-row" style={{ ...box({ align: node["align"] ?? "center" }, "row"), gap: gap ?? "0.75rem" }}>
        <Children of={node.children} />
      </div>
      {act.isPending && <span className="dgw-spinner" aria-hidden="true" />}
    </div>
  );
}

/** The words of a component and what it holds, for those who do not see how they lie. */
function wordsOf(node: WidgetNode, most: number): string {
  const own = text(node["value"], text(node["label"], text(node["alt"])));
  const parts = own === "" ? [] : [own];
  if (most > 0) for (const child of nodesOf(node.children).slice(0, 10)) parts.push(wordsOf(child, most - 10));
  return parts.filter((part) => part !== "").join(", ");
}
