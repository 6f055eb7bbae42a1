// Where the steps of a flow stand: one below the other, what lies in a loop indented, the branches of a condition
// beside each other. Pure; sizes in pixels.

import type { FlowNode } from "../api/journal-types";

export const WIDTH = 216;
export const HEIGHT = 56;
const GAP_X = 48;
const GAP_Y = 44;
export const START = ":start";
export const END = ":end";
const END_WIDTH = 72;
const END_HEIGHT = 32;

export interface Place {
  id: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

interface Block {
  places: Place[];
  width: number;
  height: number;
}

export function layout(nodes: readonly FlowNode[]): Place[] {
  const body = stack(nodes);
  const middle = body.width / 2;
  const top = END_HEIGHT + GAP_Y;
  const places = body.places.map((place) => ({ ...place, y: place.y + top }));
  const end = top + (body.height === 0 ? 0 : body.height + GAP_Y);
  return [
    { id: START, x: middle - END_WIDTH / 2, y: 0, width: END_WIDTH, height: END_HEIGHT },
    ...places,
    { id: END, x: middle - END_WIDTH / 2, y: end, width: END_WIDTH, height: END_HEIGHT },
  ];
}

/** One below the other, each in the middle. */
function stack(nodes: readonly FlowNode[]): Block {
  const blocks = nodes.map(blockOf);
  const width = Math.max(WIDTH, ...blocks.map((block) => block.width));
  const places: Place[] = [];
  let y = 0;
  for (const block of blocks) {
    places.push(...moved(block, (width - block.width) / 2, y));
    y += block.height + GAP_Y;
  }
  return { places, width, height: Math.max(0, y - GAP_Y) };
}

function blockOf(node: FlowNode): Block {
  const branches = node.kind === "when" ? [node.children, node.otherwise] : [node.children];
  const blocks = branches.filter((branch) => branch.length > 0).map(stack);
  if (blocks.length === 0) return { places: [{ id: node.id, x: 0, y: 0, width: WIDTH, height: HEIGHT }], width: WIDTH, height: HEIGHT };
  // the way out of a loop, and past a branch that is not there, needs room beside what lies within
  const side = node.kind === "loop" || blocks.length === 1 ? GAP_X : 0;
  const inner = blocks.reduce((sum, block) => sum + block.width, 0) + GAP_X * (blocks.length - 1);
  const width = Math.max(WIDTH, inner + side * 2);
  const places: Place[] = [{ id: node.id, x: (width - WIDTH) / 2, y: 0, width: WIDTH, height: HEIGHT }];
  let x = (width - inner) / 2;
  let height = 0;
  for (const block of blocks) {
    places.push(...moved(block, x, HEIGHT + GAP_Y));
    x += block.width + GAP_X;
    height = Math.max(height, block.height);
  }
  return { places, width, height: HEIGHT + GAP_Y + height };
}

function moved(block: Block, x: number, y: number): Place[] {
  return block.places.map((place) => ({ ...place, x: place.x + x, y: place.y + y }));
}

/** Every step with how deep it lies, in reading order. */
export function outline(nodes: readonly FlowNode[], depth = 0, branch = ""): { node: FlowNode; depth: number; branch: string }[] {
  return nodes.flatMap((node) => [
    { node, depth, branch },
    ...outline(node.children, depth + 1, node.kind === "when" ? "if so" : ""),
    ...outline(node.otherwise, depth + 1, "else"),
  ]);
}
