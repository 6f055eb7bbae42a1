// What lines of words hold. Every piece of text passes through `Plain`.

import { memo, type ReactElement, type ReactNode, useContext } from "react";
import { Settings } from "./settings";
import { inline, type Environment, type Node } from "./parse";
import { closed } from "./streaming";
import { disguised, head, safeUrl, target, visible } from "./text";
import { More } from "./More";
import { Plain } from "./Plain";
import { usePortion } from "./portion";

/** Longer text than this is shown as it is: nobody sets words in a paragraph of this size by hand. */
const LONGEST_PARAGRAPH = 10_000;

/** What a paragraph, a heading or a cell says. `growing`: more may follow, so what is open is closed. */
export const Words = memo(function Words(props: {
  text: string;
  environment: Environment;
  growing: boolean;
  skip?: number;
}): ReactElement {
  const portion = usePortion(LONGEST_PARAGRAPH, 50_000);
  const text = props.skip === undefined ? props.text : props.text.slice(props.skip);
  if (text.length > LONGEST_PARAGRAPH) {
    const shown = head(text, portion.size);
    const left = text.length - shown.length;
    return (
      <>
        <Plain text={shown} />
        {left > 0 && <More left={left} what="characters" onMore={portion.grow} />}
      </>
    );
  }
  return <Nodes nodes={inline(props.growing ? closed(text) : text, props.environment)} />;
});

function Nodes({ nodes }: { nodes: readonly Node[] }): ReactElement {
  return (
    <>
      {nodes.map((node, index) => (
        <Inline key={index} node={node} />
      ))}
    </>
  );
}

const MARKS: Record<string, "em" | "strong" | "s"> = { em_open: "em", strong_open: "strong", s_open: "s" };

function Inline({ node }: { node: Node }): ReactNode {
  const { token } = node;
  const Mark = MARKS[token.type];
  if (Mark !== undefined) {
    return (
      <Mark>
        <Nodes nodes={node.children} />
      </Mark>
    );
  }
  switch (token.type) {
    case "softbreak":
      return "\n";
    case "hardbreak":
      return <br />;
    case "code_inline":
      return (
        <code className="dgm-code">
          <Plain text={token.content} />
        </code>
      );
    case "link_open":
      return <Link node={node} />;
    case "image":
      return <Picture address={attribute(node, "src")} words={wordsOf(nodesOf(token.children))} />;
    default:
      return <Plain text={token.content} />;
  }
}

function Link({ node }: { node: Node }): ReactElement {
  const href = safeUrl(attribute(node, "href"));
  if (href === null) return <Nodes nodes={node.children} />;
  const other = disguised(wordsOf(node.children), href);
  return (
    <>
      <a href={href} title={visible(href)} rel="noopener noreferrer" target="_blank">
        <Nodes nodes={node.children} />
      </a>
      {other !== null && <span className="dgm-leads"> ({other})</span>}
    </>
  );
}

/**
 * A picture that is not loaded: who reads may open it in a tab of its own.
 *
 * Loading it would tell its server that this was read, and whatever a prompt had made the model put in its address.
 */
export function Picture(props: { address: string; words: string }): ReactElement {
  const { isOwnImage } = useContext(Settings);
  const words = props.words.trim();
  if (isOwnImage?.(props.address) === true) {
    return <img className="dgm-image" src={props.address} alt={words} loading="lazy" referrerPolicy="no-referrer" />;
  }
  const href = safeUrl(props.address);
  const name = words === "" ? "Image" : `Image: ${words}`;
  if (href === null || !href.startsWith("http")) {
    return (
      <span className="dgm-picture">
        <Plain text={name} />
      </span>
    );
  }
  return (
    <a className="dgm-picture" href={href} title={visible(href)} rel="noopener noreferrer" target="_blank">
      <Plain text={name} /> <span className="dgm-leads">(open from {target(href)})</span>
    </a>
  );
}

function attribute(node: Node, name: string): string {
  return String(node.token.attrGet(name) ?? "");
}

function nodesOf(tokens: Node["token"][] | null): Node[] {
  return (tokens ?? []).map((token) => ({ token, children: [] }));
}

/** The text of nodes without their marks. */
function wordsOf(nodes: readonly Node[]): string {
  return nodes.map((node) => node.token.content + wordsOf(node.children)).join("");
}
