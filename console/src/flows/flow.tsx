// One flow: its steps as a graph and as a list, its versions, and a field to run it and see the steps light up.

import { Suspense, useCallback, useEffect, useMemo, useRef, useState, type FormEvent } from "react";
import { useRunChanges } from "../api/changes";
import { told } from "../api/http";
import { findRuns, getFlow, runDetail, startFlow, traceRun } from "../api/journal";
import type { FlowDetail, FlowNode, FlowVersion } from "../api/journal-types";
import * as own from "../api/own";
import { useQuery } from "../api/query";
import { Guard } from "../app/guard";
import { lazily, Pending } from "../app/lazily";
import { useShortcuts } from "../app/keyboard";
import { linkTo, navigate, pathTo, usePlace } from "../app/router";
import { kindWord } from "../runs/bars";
import { useRunEvents } from "../runs/events";
import { Section } from "../runs/inspector";
import { valueOf, Waiting } from "../runs/waiting";
import { isActive, Length, shortId, StatusBadge } from "../runs/words";
import { Badge, Button, Spinner } from "../ui/button";
import { cx } from "../ui/classes";
import { FIELD, Figure, PageFrame } from "../ui/frame";
import { Icon } from "../ui/icons";
import { Json, visible } from "../ui/json";
import { Long } from "../ui/long";
import { Loaded, PageState } from "../ui/page-state";
import { Ago, duration } from "../ui/time";
import { toast } from "../ui/toast";
import { outline } from "./layout";
import { lightsOf, type Lit } from "./lights";
import { described } from "./words";

const Graph = lazily(() => import("./graph"));
const ABOVE = { label: "Flows", to: "/console/flows" };

export function FlowPage({ name }: { name: string }) {
  const query = useQuery(`flow:${name}`, (signal) => getFlow(name, signal));
  if (query.data === undefined) {
    return (
      <PageFrame title={name} above={ABOVE}>
        <Loaded query={query} {...(query.state === "missing" ? { title: "There is no such flow", action: <Button onClick={() => navigate("/console/flows")}>To the flows</Button> } : {})}>
          {() => null}
        </Loaded>
      </PageFrame>
    );
  }
  return <Opened flow={query.data} />;
}

function versionWord(version: number): string {
  return version === 0 ? "Draft" : `Version ${version}`;
}

const NO_LIGHTS: ReadonlyMap<string, Lit> = new Map();

function Opened({ flow }: { flow: FlowDetail }) {
  const { query: address } = usePlace();
  const usual = flow.production ?? 0;
  const asked = Number(address.get("version") ?? usual);
  const version = flow.tree.find((one) => one.version === asked) ?? flow.tree.find((one) => one.version === usual) ?? flow.tree[0];
  const run = address.get("run");
  const chosen = address.get("step");
  const [lights, setLights] = useState<ReadonlyMap<string, Lit>>(NO_LIGHTS);
  const message = useRef<HTMLTextAreaElement>(null);

  const go = useCallback(
    (next: { version?: number; run?: string | null; step?: string | null }): void => {
      const words = new URLSearchParams(location.search);
      for (const [key, value] of Object.entries(next)) {
        if (value === null || (key === "version" && value === usual)) words.delete(key);
        else words.set(key, String(value));
      }
      const text = words.toString();
      navigate(pathTo("flows", ...flow.name.split("/")) + (text === "" ? "" : `?${text}`), { replace: true });
    },
    [flow.name, usual],
  );
  useEffect(() => {
    if (run === null) setLights(NO_LIGHTS);
  }, [run]);
  useShortcuts([
    { keys: "i", label: "Write a message to run the flow with", run: () => message.current?.focus() },
    ...(chosen === null ? [] : [{ keys: "Escape", label: "Close the step", run: () => go({ step: null }) }]),
  ]);

  if (version === undefined) {
    return (
      <PageFrame title={flow.name} above={ABOVE}>
        <PageState kind="empty" icon="flows" title="This flow has no version" />
      </PageFrame>
    );
  }
  const steps = outline(version.nodes);
  const step = steps.find((one) => one.node.id === chosen)?.node ?? null;
  return (
    <PageFrame
      title={flow.name}
      above={ABOVE}
      actions={
        <>
          <label className="flex items-center gap-2 text-sm">
            <span className="sr-only">Version</span>
            <select value={version.version} onChange={(event) => go({ version: Number(event.target.value), run: null, step: null })} className={FIELD}>
              {flow.tree.toReversed().map((one) => (
                <option key={one.version} value={one.version}>
                  {versionWord(one.version)}
                  {one.production ? " · production" : ""}
                </option>
              ))}
            </select>
          </label>
          <Button size="small" onClick={() => navigate(`/console/runs?flow=${encodeURIComponent(flow.name)}`)}>
            All runs
          </Button>
        </>
      }
      below={flow.description === "" ? undefined : <p className="mt-0.5 text-sm text-muted [unicode-bidi:isolate]">{described(flow.description)}</p>}
    >
      <div className="flex min-h-0 flex-1 flex-col overflow-y-auto lg:flex-row lg:overflow-hidden">
        <div className="relative h-80 shrink-0 border-b border-line bg-surface lg:h-auto lg:min-w-0 lg:flex-1 lg:border-b-0">
          <Guard key={version.version}>
            <Suspense fallback={<Pending compact />}>
              <Graph version={version} lights={lights} chosen={chosen} onChoose={(id) => go({ step: id === chosen ? null : id })} />
            </Suspense>
          </Guard>
        </div>
        <div tabIndex={0} role="region" aria-label="The flow" className="min-w-0 border-line focus-visible:outline-offset-[-2px] lg:w-[min(30rem,45%)] lg:shrink-0 lg:overflow-y-auto lg:border-l">
          <div className="grid gap-5 p-4">
            <RunForm flow={flow} version={version} field={message} onStarted={(id) => go({ run: id })} />
            {run === null ? null : <RunShown key={run} id={run} onLights={setLights} onClose={() => go({ run: null })} />}
            <Steps steps={steps} lights={lights} chosen={chosen} onChoose={(id) => go({ step: id === chosen ? null : id })} />
            {step === null ? null : <StepShown node={step} onClose={() => go({ step: null })} />}
            <Recent flow={flow.name} shown={run} onShow={(id, shown) => go({ run: id, ...(shown === null ? {} : { version: shown }) })} />
          </div>
        </div>
      </div>
    </PageFrame>
  );
}

function RunForm({ flow, version, field, onStarted }: { flow: FlowDetail; version: FlowVersion; field: React.RefObject<HTMLTextAreaElement | null>; onStarted: (id: string) => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [stepwise, setStepwise] = useState(false);
  const [more, setMore] = useState(false);
  const parameters = useRef<HTMLTextAreaElement>(null);

  const submit = async (event?: FormEvent): Promise<void> => {
    event?.preventDefault();
    const message = field.current?.value ?? "";
    if (flow.requires_message && message.trim() === "") {
      setProblem("This flow needs a message.");
      field.current?.focus();
      return;
    }
    const given = valueOf(parameters.current?.value.trim() || "{}");
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
      setProblem("Parameters: expected a JSON object.");
      return;
    }
    setProblem(null);
    setBusy(true);
    try {
      const started = await startFlow(flow.name, {
        version: version.version === 0 ? "draft" : version.version,
        ...(message === "" ? {} : { message }),
        ...(Object.keys(given).length > 0 ? { parameters: given as Record<string, unknown> } : {}),
        ...(stepwise ? { stepwise: true } : {}),
      });
      onStarted(started.id);
    } catch (error) {
      setProblem(told(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} aria-label="Run the flow">
      <label htmlFor="flow-message" className="mb-1.5 block text-sm font-semibold">
        Run {version.version === 0 ? "the draft" : `version ${version.version}`} with a message
      </label>
      <textarea
        ref={field}
        id="flow-message"
        rows={2}
        placeholder={flow.requires_message ? "Message" : "Message (may be empty)"}
        aria-invalid={problem !== null}
        aria-describedby={problem === null ? undefined : "flow-problem"}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            if (!busy) void submit();
          } else if (event.key === "Escape") event.currentTarget.blur();
        }}
        className="w-full rounded-md border border-line-strong bg-raised p-2.5 text-sm"
      />
      {more ? (
        <>
          <label htmlFor="flow-parameters" className="mt-1 mb-1 block text-xs text-muted">
            Parameters, as a JSON object
          </label>
          <textarea ref={parameters} id="flow-parameters" rows={3} placeholder="{}" spellCheck={false} className="w-full rounded-md border border-line-strong bg-raised p-2.5 font-mono text-xs" />
        </>
      ) : null}
      {problem === null ? null : (
        <p id="flow-problem" role="alert" className="mt-1 text-sm break-words text-bad [overflow-wrap:anywhere]">
          <Long text={problem} />
        </p>
      )}
      <div className="mt-2 flex flex-wrap items-center gap-3">
        <Button type="submit" look="primary" size="small" busy={busy}>
          Run
        </Button>
        <label className="flex items-center gap-1.5 text-xs">
          <input type="checkbox" checked={stepwise} onChange={(event) => setStepwise(event.target.checked)} className="size-4 accent-(--c-accent-solid)" />
          Step by step
        </label>
        <Button size="small" look="ghost" aria-expanded={more} onClick={() => setMore(!more)}>
          Parameters
        </Button>
      </div>
    </form>
  );
}

/** One run of the flow as it goes: its lights, what it waits for, what came out. */
function RunShown({ id, onLights, onClose }: { id: string; onLights: (lights: ReadonlyMap<string, Lit>) => void; onClose: () => void }) {
  const query = useQuery(`run:${id}`, (signal) => runDetail(id, signal));
  const active = query.data === undefined || isActive(query.data);
  const [live] = useState(true);
  const events = useRunEvents(id, 0, live);
  const trace = useQuery(query.data?.status === "paused" ? `trace:${id}:${query.data.last_seq}` : null, (signal) => traceRun(id, signal));
  const { version, turns } = events;
  useEffect(() => {
    onLights(lightsOf(events.known()));
  }, [events, version, onLights]);
  const reload = useRef(query.reload);
  reload.current = query.reload;
  useEffect(() => {
    if (turns === 0) return;
    const timer = setTimeout(() => reload.current(), 100);
    return () => clearTimeout(timer);
  }, [turns]);

  const cancel = (): void => {
    own
      .cancelRun(id)
      .then(() => query.reload())
      .catch((error: unknown) => toast(told(error), "bad"));
  };
  const run = query.data;
  if (run === undefined) return <PageState kind={query.state === "ready" ? "loading" : query.state} error={query.error} onRetry={query.reload} compact />;
  return (
    <section aria-label="The run that is shown" className="overflow-hidden rounded-lg border border-line">
      <header className="flex flex-wrap items-center gap-2 bg-surface px-3 py-2 text-sm">
        <StatusBadge status={run.status} />
        <a {...linkTo(pathTo("runs", id))} className="font-mono text-xs text-accent hover:underline">
          {shortId(id)}
        </a>
        <span className="text-xs text-muted tabular-nums">
          <Length run={run} />
        </span>
        <span className="ml-auto flex gap-1">
          {active ? (
            <Button size="small" look="ghost" icon="stop" onClick={cancel}>
              Cancel
            </Button>
          ) : null}
          <Button size="small" look="ghost" onClick={onClose}>
            Clear
          </Button>
        </span>
      </header>
      {trace.data ? <Waiting run={run} trace={trace.data} events={events} onDone={query.reload} /> : null}
      <div role="status" className="grid gap-2 p-3">
        {run.error ? (
          <p className="text-sm break-words text-bad [overflow-wrap:anywhere]">
            <span className="font-mono text-xs">{visible(run.error.code ?? "error")}</span> <Long text={run.error.message ?? ""} />
          </p>
        ) : null}
        {run.result !== null && run.result !== undefined ? (
          <Json value={run.result} label="Result" />
        ) : run.status === "running" || run.status === "queued" ? (
          <p className="flex items-center gap-2 text-sm text-muted">
            <Spinner size={14} /> Running…
          </p>
        ) : run.status === "completed" ? (
          <p className="text-sm text-muted">Done. Its capture mode keeps no result.</p>
        ) : null}
      </div>
    </section>
  );
}

function Steps({ steps, lights, chosen, onChoose }: { steps: ReturnType<typeof outline>; lights: ReadonlyMap<string, Lit>; chosen: string | null; onChoose: (id: string) => void }) {
  return (
    <Section top title="Steps" detail={String(steps.length)}>
      {steps.length === 0 ? <p className="text-sm text-muted">This version has no steps.</p> : null}
      <ol className="overflow-hidden rounded-md border border-line">
        {steps.map(({ node, depth, branch }) => {
          const lit = lights.get(node.id);
          return (
            <li key={node.id} className="border-b border-line/60 last:border-0">
              <button
                type="button"
                aria-pressed={node.id === chosen}
                onClick={() => onChoose(node.id)}
                className={cx("flex w-full items-center gap-2 px-3 py-2 text-left text-sm focus-visible:outline-offset-[-2px]", node.id === chosen ? "bg-accent-soft" : "hover:bg-hover")}
                style={{ paddingLeft: `${0.75 + depth * 1.25}rem` }}
              >
                <span className="flex size-4 shrink-0 items-center justify-center">
                  {lit === undefined ? (
                    <span className="size-1.5 rounded-full bg-line-strong" />
                  ) : lit.light === "running" ? (
                    <Spinner size={14} label="running" />
                  ) : (
                    <Icon name={lit.light === "completed" ? "check" : "cross"} size={14} className={lit.light === "completed" ? "text-good" : "text-bad"} />
                  )}
                </span>
                <span className="min-w-0 flex-1 truncate [unicode-bidi:isolate]">
                  {branch ? <span className="text-muted">{branch} </span> : null}
                  {visible(node.name)}
                </span>
                {lit && lit.light !== "running" ? <span className="sr-only">{lit.light}</span> : null}
                {lit && lit.times > 1 ? <span className="text-xs text-muted">×{lit.times}</span> : null}
                {lit?.took !== null && lit?.took !== undefined ? <span className="text-xs text-muted tabular-nums">{duration(lit.took)}</span> : null}
                <Badge>{kindWord(node.kind)}</Badge>
              </button>
            </li>
          );
        })}
      </ol>
    </Section>
  );
}

function StepShown({ node, onClose }: { node: FlowNode; onClose: () => void }) {
  const heading = useRef<HTMLElement>(null);
  useEffect(() => {
    heading.current?.scrollIntoView({ block: "nearest" }); // gives a promise in newer browsers
  }, [node.id]);
  return (
    <section ref={heading} aria-label={`Step ${visible(node.name)}`} className="rounded-lg border border-line p-3">
      <header className="mb-2 flex items-center gap-2">
        <h2 className="min-w-0 flex-1 truncate text-sm font-semibold [unicode-bidi:isolate]">{visible(node.name)}</h2>
        <Button size="small" look="ghost" onClick={onClose}>
          Close
        </Button>
      </header>
      <dl className="mb-3 grid grid-cols-2 gap-3">
        <Figure label="Id">
          <span className="font-mono text-xs break-all">{visible(node.id)}</span>
        </Figure>
        <Figure label="Kind">{kindWord(node.kind)}</Figure>
        {node.model ? <Figure label="Model">{visible(node.model)}</Figure> : null}
        <Figure label="Digest">
          <span className="font-mono text-xs">{visible(node.digest)}</span>
        </Figure>
      </dl>
      {Object.keys(node.config).length === 0 ? (
        <p className="text-xs text-muted">{node.open ? "Takes any configuration; none is set." : "Nothing to configure."}</p>
      ) : (
        <Section title="Configuration" detail={node.open ? "takes others, too" : undefined}>
          <Json value={node.config} label="Configuration" />
        </Section>
      )}
    </section>
  );
}

function Recent({ flow, shown, onShow }: { flow: string; shown: string | null; onShow: (id: string, version: number | null) => void }) {
  const query = useQuery(`recent:${flow}`, (signal) => findRuns({ flow, limit: 8 }, signal));
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const soon = (): void => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      query.reload();
    }, 300);
  };
  useRunChanges((run) => run.flow === flow && soon(), { onAgain: soon });
  const runs = useMemo(() => query.data?.runs ?? [], [query.data]);
  return (
    <Section top title="Recent runs">
      <Loaded query={query} compact>
        {() =>
          runs.length === 0 ? (
            <p className="text-sm text-muted">It has not run yet.</p>
          ) : (
            <ul className="overflow-hidden rounded-md border border-line">
              {runs.map((run) => (
                <li key={run.id} className="flex items-center gap-2 border-b border-line/60 px-3 py-1.5 text-sm last:border-0">
                  <StatusBadge status={run.status} />
                  <a {...linkTo(pathTo("runs", run.id))} className="font-mono text-xs text-accent hover:underline">
                    {shortId(run.id)}
                  </a>
                  <span className="ml-auto text-xs text-muted tabular-nums">
                    <Ago at={run.created} />
                  </span>
                  <Button size="small" look="ghost" aria-pressed={run.id === shown} onClick={() => onShow(run.id, run.flow_version)}>
                    Light up
                  </Button>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Section>
  );
}
