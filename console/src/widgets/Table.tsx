// Tables: rows of cells that hold components.

import type { CSSProperties, ReactElement } from "react";
import { Children, keyOf } from "./Component";
import { count, flag, nodesOf, oneOf } from "./fields";
import { More, usePortion } from "./More";
import { padding, size } from "./style";
import type { WidgetNode } from "./types";

const ROWS_FIRST = 100;

/** A row without a table is a table of one row. */
export function LooseRow({ node }: { node: WidgetNode }): ReactElement {
  return <Table node={{ type: "Table", children: [node] }} />;
}

export function Table({ node }: { node: WidgetNode }): ReactElement {
  const portion = usePortion(ROWS_FIRST, 200);
  const rows = nodesOf(node.children);
  const firstRow = rows.findIndex((row) => !flag(row["header"]));
  const titles = firstRow < 0 ? rows : rows.slice(0, firstRow);
  const body = firstRow < 0 ? [] : rows.slice(firstRow);
  const left = body.length - portion.size;
  return (
    <div className="dgw-table">
      <div
        className="dgw-scroll"
        tabIndex={0}
        role="region"
        aria-label={`Table of ${body.length.toLocaleString("en")} rows`}
      >
        <table>
          {titles.length > 0 && (
            <thead>
              {titles.slice(0, ROWS_FIRST).map((row, index) => (
                <TableRow key={keyOf(row, index)} node={row} />
              ))}
            </thead>
          )}
          <tbody>
            {body.slice(0, portion.size).map((row, index) => (
              <TableRow key={keyOf(row, index)} node={row} />
            ))}
          </tbody>
        </table>
      </div>
      {left > 0 && <More left={left} onMore={portion.grow} />}
    </div>
  );
}

const CELLS_AT_MOST = 100;

function TableRow({ node }: { node: WidgetNode }): ReactElement {
  return (
    <tr>
      {nodesOf(node.children)
        .slice(0, CELLS_AT_MOST)
        .map((cell, index) => (
          <TableCell key={keyOf(cell, index)} node={cell} isTitle={flag(node["header"])} />
        ))}
    </tr>
  );
}

const WIDTHS: Record<string, string> = { xs: "3rem", sm: "6rem", md: "10rem", lg: "16rem", xl: "24rem" };

function TableCell({ node, isTitle = false }: { node: WidgetNode; isTitle?: boolean }): ReactElement {
  const Cell = isTitle ? "th" : "td";
  const colSize = oneOf(node["colSize"], ["xs", "sm", "md", "lg", "xl"]);
  const width = size(node["width"]) ?? (colSize !== undefined ? WIDTHS[colSize] : undefined);
  const align = oneOf(node["align"], ["start", "center", "end"]);
  const vertical = { start: "top", center: "middle", end: "bottom" }[
    oneOf(node["vAlign"], ["start", "center", "end"]) ?? "center"
  ];
  const style: CSSProperties = {
    ...padding(node["padding"]),
    ...(width !== undefined && { width, minWidth: width }),
    ...(align !== undefined && { textAlign: align }),
    verticalAlign: vertical,
  };
  return (
    <Cell
      colSpan={spanOf(node["colSpan"])}
      rowSpan={spanOf(node["rowSpan"])}
      style={style}
      className={align === undefined ? undefined : `dgw-cell-${align}`}
      {...(isTitle && { scope: "col" })}
    >
      <div className="dgw-cell">
        <Children of={node.children} />
      </div>
    </Cell>
  );
}

function spanOf(value: unknown): number | undefined {
  const span = count(value);
  return span !== undefined && span > 1 ? Math.min(span, CELLS_AT_MOST) : undefined;
}
