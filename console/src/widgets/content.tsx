// Components that show something: text, badges, icons, pictures.

import type { CSSProperties, ReactElement } from "react";
import { head, Markdown, Plain, safeUrl, target } from "../markdown";
import { count, flag, isRecord, oneOf, optionalText, text } from "./fields";
import { useHost } from "./host";
import { Icon } from "./icons";
import { More, usePortion } from "./More";
import { border, color, lettering, margin, measures, radius } from "./style";
import type { WidgetNode } from "./types";
import { Editable } from "./typing";

const TEXT_SIZES = ["xs", "sm", "md", "lg", "xl"] as const;
const TITLE_SIZES = ["sm", "md", "lg", "xl", "2xl", "3xl", "4xl", "5xl"] as const;
const WEIGHTS = ["normal", "medium", "semibold", "bold"] as const;
const LONGEST = 10_000;

/** Text that may be very long. */
function Long({ value }: { value: string }): ReactElement {
  const portion = usePortion(LONGEST, 50_000);
  const shown = head(value, portion.size);
  return (
    <>
      <Plain text={shown} />
      {shown.length < value.length && <More left={value.length - shown.length} onMore={portion.grow} />}
    </>
  );
}

function classes(...names: (string | false | undefined)[]): string {
  return names.filter((name) => typeof name === "string" && name !== "").join(" ");
}

function cut(node: WidgetNode): string | false {
  return (flag(node["truncate"]) || count(node["maxLines"]) !== undefined) && "dgw-cut";
}

function set(node: WidgetNode): string {
  return classes(`dgw-weight-${oneOf(node["weight"], WEIGHTS) ?? "own"}`, cut(node));
}

export function Text({ node }: { node: WidgetNode }): ReactElement {
  const value = text(node["value"]);
  if (isRecord(node["editable"])) return <Editable node={node} editable={node["editable"]} />;
  return (
    <p
      className={classes(
        "dgw-text",
        `dgw-text-${oneOf(node["size"], TEXT_SIZES) ?? "md"}`,
        set(node),
        flag(node["italic"]) && "dgw-italic",
        flag(node["lineThrough"]) && "dgw-struck",
      )}
      style={lettering(node)}
      dir="auto"
      aria-busy={flag(node["streaming"]) || undefined}
    >
      <Long value={value} />
    </p>
  );
}

export function Title({ node }: { node: WidgetNode }): ReactElement {
  return (
    <h3
      className={classes("dgw-title", `dgw-title-${oneOf(node["size"], TITLE_SIZES) ?? "md"}`, set(node))}
      style={lettering(node)}
      dir="auto"
    >
      <Long value={text(node["value"])} />
    </h3>
  );
}

export function Caption({ node }: { node: WidgetNode }): ReactElement {
  return (
    <p
      className={classes("dgw-caption", `dgw-caption-${oneOf(node["size"], ["sm", "md", "lg"]) ?? "md"}`, set(node))}
      style={lettering(node)}
      dir="auto"
    >
      <Long value={text(node["value"])} />
    </p>
  );
}

export function MarkdownComponent({ node }: { node: WidgetNode }): ReactElement {
  const { isOwnImage } = useHost();
  return (
    <Markdown
      text={text(node["value"])}
      streaming={flag(node["streaming"])}
      settings={{ isOwnImage, headingsBelow: 3 }}
    />
  );
}

export function Badge({ node }: { node: WidgetNode }): ReactElement {
  const hue = oneOf(node["color"], ["secondary", "success", "danger", "warning", "info", "discovery"]) ?? "secondary";
  const variant = oneOf(node["variant"], ["solid", "soft", "outline"]) ?? "soft";
  const size = oneOf(node["size"], ["sm", "md", "lg"]) ?? "sm";
  return (
    <span
      className={classes(
        "dgw-badge",
        `dgw-hue-${hue}`,
        `dgw-badge-${variant}`,
        `dgw-badge-${size}`,
        flag(node["pill"]) && "dgw-pill",
      )}
      dir="auto"
    >
      <Plain text={head(text(node["label"]), 500)} />
    </span>
  );
}

export function IconComponent({ node }: { node: WidgetNode }): ReactElement | null {
  const name = text(node["name"]);
  return name === "" ? null : <Icon name={name} size={node["size"] ?? "md"} color={color(node["color"])} />;
}

/** A picture; one from elsewhere is not loaded, but can be opened. */
export function Image({ node }: { node: WidgetNode }): ReactElement {
  const { isOwnImage } = useHost();
  const address = text(node["src"]);
  const words = text(node["alt"]);
  const frame: CSSProperties = {
    ...measures(node),
    ...margin(node["margin"]),
    ...border(node["border"]),
    ...(radius(node["radius"]) !== undefined && { borderRadius: radius(node["radius"]) }),
    ...(color(node["background"]) !== undefined && { background: color(node["background"]) }),
  };
  const look = classes("dgw-image", flag(node["frame"]) && "dgw-framed", flag(node["flush"]) && "dgw-flush");
  if (isOwnImage(address)) {
    const fit = oneOf(node["fit"], ["cover", "contain", "fill", "scale-down", "none"]);
    const position = /^(?:(?:top|bottom|left|right|center)(?: (?:left|right))?)$/.exec(text(node["position"]))?.[0];
    return (
      <img
        className={look}
        src={address}
        alt={words}
        loading="lazy"
        decoding="async"
        style={{ ...frame, ...(fit && { objectFit: fit }), ...(position && { objectPosition: position }) }}
      />
    );
  }
  return <Elsewhere address={address} words={words} className={look} style={frame} />;
}

/** In place of a picture from elsewhere. */
function Elsewhere(props: { address: string; words: string; className: string; style: CSSProperties }): ReactElement {
  const href = safeUrl(props.address);
  const name = props.words === "" ? "Image" : `Image: ${head(props.words, 200)}`;
  const className = `${props.className} dgw-elsewhere`;
  if (href === null || !href.startsWith("http")) {
    return (
      <span className={className} style={props.style}>
        <Icon name="square-image" /> <Plain text={name} />
      </span>
    );
  }
  return (
    <a className={className} style={props.style} href={href} rel="noopener noreferrer" target="_blank">
      <Icon name="square-image" />{" "}
      <span>
        <Plain text={name} /> (open from {target(href)})
      </span>
    </a>
  );
}

/** The line above a widget. */
export function Status({ status }: { status: unknown }): ReactElement | null {
  const { isOwnImage } = useHost();
  if (!isRecord(status) || typeof status["text"] !== "string") return null;
  const icon = optionalText(status["icon"]);
  const favicon = optionalText(status["favicon"]);
  return (
    <span className="dgw-status">
      {icon !== undefined && <Icon name={icon} />}
      {favicon !== undefined && isOwnImage(favicon) && (
        <img className={classes("dgw-favicon", flag(status["frame"]) && "dgw-framed")} src={favicon} alt="" />
      )}
      <span dir="auto">
        <Plain text={head(status["text"], 500)} />
      </span>
    </span>
  );
}
