// One component of a widget, whatever its type; and the children of one.

import { createContext, type ReactElement, useContext } from "react";
import { Chart } from "./Chart";
import { Badge, Caption, IconComponent, Image, MarkdownComponent, Text, Title } from "./content";
import { Button, Checkbox, DatePicker, Label, RadioGroup } from "./controls";
import { nodesOf } from "./fields";
import { Boxed, Divider, Form, Spacer, Transition } from "./layout";
import { More, usePortion } from "./More";
import { Card, ListView, ListViewItem } from "./roots";
import { Select } from "./Select";
import { LooseRow, Table } from "./Table";
import type { WidgetNode } from "./types";
import { Input, Textarea } from "./typing";

export type Drawn = (props: { node: WidgetNode }) => ReactElement | null;

const DRAWN: Record<string, Drawn> = {
  Badge,
  Basic: Boxed,
  Box: Boxed,
  Button,
  Caption,
  Card,
  Chart,
  Checkbox,
  Col: Boxed,
  DatePicker,
  Divider,
  Form,
  Icon: IconComponent,
  Image,
  Input,
  Label,
  ListView,
  ListViewItem,
  Markdown: MarkdownComponent,
  RadioGroup,
  Row: Boxed,
  Select,
  Spacer,
  Table,
  "Table.Cell": Boxed,
  "Table.Row": LooseRow,
  Text,
  Textarea,
  Title,
  Transition,
};

/** The types that are drawn. */
export const TYPES: readonly string[] = Object.keys(DRAWN);

const DEEPEST = 60;
const Depth = createContext(0);

export function Component({ node }: { node: WidgetNode }): ReactElement | null {
  const depth = useContext(Depth);
  const Known = Object.hasOwn(DRAWN, node.type) ? DRAWN[node.type] : undefined;
  if (depth > DEEPEST) return <span>…</span>;
  return <Depth value={depth + 1}>{Known !== undefined ? <Known node={node} /> : <Unknown node={node} />}</Depth>;
}

/** A component of a newer server: its children are shown, or that something is missing. */
function Unknown({ node }: { node: WidgetNode }): ReactElement {
  if (nodesOf(node.children).length > 0) {
    return (
      <div className="dgw-col">
        <Children of={node.children} />
      </div>
    );
  }
  return <span className="dgw-unknown">This part ({node.type.slice(0, 40)}) cannot be shown here.</span>;
}

const FIRST = 200;

export function Children({ of }: { of: unknown }): ReactElement {
  const portion = usePortion(FIRST, FIRST);
  const nodes = nodesOf(of);
  const left = nodes.length - portion.size;
  return (
    <>
      {nodes.slice(0, portion.size).map((node, index) => (
        <Component key={keyOf(node, index)} node={node} />
      ))}
      {left > 0 && <More left={left} onMore={portion.grow} />}
    </>
  );
}

/** Components keep what was filled in while others come and go, if they have a key or an id. */
export function keyOf(node: WidgetNode, index: number): string {
  return `${node.type}:${String(node.key ?? node.id ?? index)}`;
}
