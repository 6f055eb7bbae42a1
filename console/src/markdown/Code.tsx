// A block of code: its language, a button that copies it, its lines.

import { memo, type ReactElement, useEffect, useMemo, useState } from "react";
import { highlight } from "./highlight";
import { More } from "./More";
import { Plain } from "./Plain";
import { usePortion } from "./portion";
import { head, visible } from "./text";

const FIRST = 20_000;

/** `growing`: more may follow; colours wait for the whole, as each line could change those above it. */
export const Code = memo(function Code(props: { text: string; language: string; growing: boolean }): ReactElement {
  const portion = usePortion(FIRST, 100_000);
  const shown = head(props.text, portion.size).replace(/\n$/, "");
  const left = props.text.length - shown.length;
  const language = visible(head(props.language, 40));
  const spans = useMemo(
    () => (props.growing ? [{ kind: "plain" as const, text: shown }] : highlight(shown, language.toLowerCase())),
    [shown, language, props.growing],
  );
  return (
    <figure className="dgm-block" aria-label={language === "" ? "Code" : `Code: ${language}`}>
      <figcaption className="dgm-block-head">
        <span>{language === "" ? "text" : language}</span>
        <Copy text={props.text} />
      </figcaption>
      {/* Reached by keyboard, for long lines are scrolled to. */}
      <pre tabIndex={0} dir="ltr">
        <code>
          {spans.map((span, index) =>
            span.kind === "plain" ? (
              <Plain key={index} text={span.text} />
            ) : (
              <span key={index} className={`dgm-${span.kind}`}>
                <Plain text={span.text} />
              </span>
            ),
          )}
        </code>
      </pre>
      {left > 1 && <More left={left} what="characters" onMore={portion.grow} />}
    </figure>
  );
});

function Copy({ text }: { text: string }): ReactElement {
  const [told, setTold] = useState<"Copy" | "Copied" | "Not copied">("Copy");
  useEffect(() => {
    if (told === "Copy") return;
    const timer = setTimeout(() => setTold("Copy"), 2000);
    return () => clearTimeout(timer);
  }, [told]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setTold("Copied");
    } catch {
      setTold("Not copied");
    }
  };
  return (
    <button
      type="button"
      className="dgm-copy"
      onClick={() => void copy()}
      aria-label={told === "Copy" ? "Copy code" : told}
    >
      <span aria-live="polite">{told}</span>
    </button>
  );
}
