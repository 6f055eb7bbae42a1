// The graph of a flow's steps, and its lights while it runs. A chunk of its own: the library is large. Whatever it
// shows is also in the list of steps, which is what keyboards and screen readers use.

import "@xyflow/react/dist/base.css";
import "./graph.css";
import { Background, BaseEdge, Controls, Handle, MarkerType, Position, ReactFlow, type Edge, type EdgeProps, type Node, type NodeProps } from "@xyflow/react";
import { memo, useMemo } from "react";
import type { FlowVersion, NodeKind } from "../api/journal-types";
import { useTheme } from "../app/theme";
import { kindWord } from "../runs/bars";
import { Spinner } from "../ui/button";
import { cx } from "../ui/classes";
import { Icon } from "../ui/icons";
import { visible } from "../ui/json";
import { duration } from "../ui/time";
import { END, layout, START } from "./layout";
import type { Lit } from "./lights";

interface GraphProps {
  version: FlowVersion;
  lights: ReadonlyMap<string, Lit>;
  chosen: string | null;
  onChoose: (id: string) => void;
}

type StepData = { name: string; kind: NodeKind; model: string | null; lit: Lit | undefined; isChosen: boolean };
type StepNode = Node<StepData, "step">;
type EndNode = Node<{ name: string }, "end">;

const TYPES = { step: memo(Step), end: memo(End) };
const EDGES = { past: memo(Past) };
const LABELS: Record<string, string> = { yes: "yes", no: "no", each: "each", again: "again", done: "done" };

export default function Graph({ version, lights, chosen, onChoose }: GraphProps) {
  useTheme();
  const places = useMemo(() => layout(version.nodes), [version]);
  const nodes = useMemo(() => {
    const known = new Map(version.graph.nodes.map((node) => [node.id, node]));
    const models = new Map(flat(version).map((node) => [node.id, node.model]));
    return places.map((place): StepNode | EndNode => {
      const node = known.get(place.id);
      const fixed = { id: place.id, position: { x: place.x, y: place.y }, width: place.width, height: place.height, draggable: false, connectable: false, focusable: false };
      if (node === undefined || place.id === START || place.id === END) return { ...fixed, type: "end", selectable: false, data: { name: place.id === START ? "start" : "end" } };
      const data: StepData = { name: node.name, kind: node.kind as NodeKind, model: models.get(place.id) ?? null, lit: lights.get(place.id), isChosen: place.id === chosen };
      return { ...fixed, type: "step", data };
    });
  }, [places, version, lights, chosen]);
  const edges = useMemo(() => {
    const parents = new Map(version.graph.nodes.map((node) => [node.id, node.parent]));
    const depthOf = (id: string): number => {
      const parent = parents.get(id) ?? null;
      return parent === null ? 0 : depthOf(parent) + 1;
    };
    const deepest = Math.max(0, ...version.graph.nodes.map((node) => depthOf(node.id)));
    return version.graph.edges.map((edge, place): Edge => {
      const isBack = edge.kind === "again";
      // past what lies within, not through it
      const isPast = edge.kind === "done" || ((edge.kind === "yes" || edge.kind === "no") && parents.get(edge.target) !== edge.source);
      // a condition whose branch has run was not passed by
      const isTaken = edge.kind !== "done" && isPast && [...parents].some(([id, parent]) => parent === edge.source && lights.has(id));
      const isLeft = edge.target === END ? lights.get(edge.source)?.light === "completed" : lights.has(edge.target);
      const isLit = !isTaken && isLeft && (lights.has(edge.source) || edge.source === START);
      const label = LABELS[edge.kind];
      return {
        id: `${edge.source} ${edge.target} ${edge.kind} ${place}`,
        source: edge.source,
        target: edge.target,
        type: isPast ? "past" : "smoothstep",
        data: { lane: 20 + 28 * (deepest - depthOf(edge.source)) },
        ...(label === undefined ? {} : { label }),
        sourceHandle: isBack ? "side" : isPast ? "past" : "bottom",
        targetHandle: isBack ? "back" : "top",
        animated: lights.get(edge.target)?.light === "running",
        focusable: false,
        markerEnd: { type: MarkerType.ArrowClosed, color: isLit ? "var(--c-accent)" : "var(--c-line-strong)" },
        className: cx("flow-edge", isLit && "flow-edge-lit"),
      };
    });
  }, [version, lights]);
  return (
    <ReactFlow
      nodes={nodes}
      edges={edges}
      nodeTypes={TYPES}
      edgeTypes={EDGES}
      onNodeClick={(_, node) => node.type === "step" && onChoose(node.id)}
      nodesDraggable={false}
      nodesConnectable={false}
      nodesFocusable={false}
      edgesFocusable={false}
      disableKeyboardA11y
      fitView
      fitViewOptions={{ padding: 0.15, maxZoom: window.innerWidth > 2_000 ? 1.8 : 1.1 }}
      minZoom={0.15}
      maxZoom={2}
      onlyRenderVisibleElements={nodes.length > 200}
      proOptions={{ hideAttribution: true }}
      aria-label="Graph of the steps; they are listed beside it"
    >
      <Background gap={20} size={1} color="var(--c-line)" />
      <Controls showInteractive={false} position="bottom-left" />
    </ReactFlow>
  );
}

function flat(version: FlowVersion): FlowVersion["nodes"] {
  const all: FlowVersion["nodes"] = [];
  const add = (nodes: FlowVersion["nodes"]): void => {
    for (const node of nodes) {
      all.push(node);
      add(node.children);
      add(node.otherwise);
    }
  };
  add(version.nodes);
  return all;
}

function Step({ data }: NodeProps<StepNode>) {
  const { lit } = data;
  return (
    <div className={cx("flow-step", lit && `flow-step-${lit.light}`, data.isChosen && "flow-step-chosen")}>
      <Handle type="target" id="top" position={Position.Top} />
      <Handle type="target" id="back" position={Position.Right} />
      <span className="min-w-0 flex-1">
        <span className="block truncate text-[14px] leading-5 font-medium">{visible(data.name)}</span>
        <span className="flex text-[11px] leading-4 text-muted">
          <span className="truncate">
            {kindWord(data.kind)}
            {data.model ? ` · ${visible(data.model)}` : ""}
          </span>
          <span className="shrink-0 whitespace-pre">
            {lit && lit.times > 1 ? ` · ×${lit.times}` : ""}
            {lit?.took !== null && lit?.took !== undefined ? ` · ${duration(lit.took)}` : ""}
          </span>
        </span>
      </span>
      {lit ? <LightIcon light={lit.light} /> : null}
      <Handle type="source" id="bottom" position={Position.Bottom} />
      <Handle type="source" id="side" position={Position.Right} />
      <Handle type="source" id="past" position={Position.Left} />
    </div>
  );
}

/** Down a lane on the left, past what lies within; outer ones have lanes further out. */
function Past({ sourceX, sourceY, targetX, targetY, data, label, markerEnd }: EdgeProps) {
  const x = sourceX - Number(data?.lane ?? 20);
  const y = targetY - 18;
  const path = `M${sourceX},${sourceY} H${x + 6} Q${x},${sourceY} ${x},${sourceY + 6} V${y - 6} Q${x},${y} ${x + 6},${y} H${targetX} V${targetY}`;
  return <BaseEdge path={path} labelX={x} labelY={(sourceY + y) / 2} {...(label === undefined ? {} : { label })} {...(markerEnd === undefined ? {} : { markerEnd })} />;
}

function LightIcon({ light }: { light: Lit["light"] }) {
  if (light === "running") return <Spinner size={16} />;
  return <Icon name={light === "completed" ? "check" : "cross"} className={light === "completed" ? "text-good" : light === "failed" ? "text-bad" : "text-muted"} />;
}

function End({ data }: NodeProps<EndNode>) {
  return (
    <div className="flow-end">
      <Handle type="target" id="top" position={Position.Top} />
      {data.name}
      <Handle type="source" id="bottom" position={Position.Bottom} />
    </div>
  );
}
