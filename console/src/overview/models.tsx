// Models: the ones that the app names, and every provider; which can be used, and what the others lack.

import { useRef } from "react";
import { listModels } from "../api/journal";
import type { Models, Provider, UsedModel } from "../api/journal-types";
import { useQuery } from "../api/query";
import type { PageProps } from "../app/pages";
import { useShortcuts } from "../app/keyboard";
import { linkTo, navigate, pathTo, usePlace } from "../app/router";
import { Button } from "../ui/button";
import { cx } from "../ui/classes";
import { FIELD, PageFrame, Tabs } from "../ui/frame";
import { visible } from "../ui/json";
import { Loaded, PageState } from "../ui/page-state";
import { Usable, whyOf } from "./usable";

type Which = "all" | "usable" | "not";

export default function ModelsPage(_: PageProps) {
  const query = useQuery("models", listModels);
  const { query: address } = usePlace();
  const q = address.get("q") ?? "";
  const which: Which = address.get("show") === "usable" ? "usable" : address.get("show") === "not" ? "not" : "all";
  const search = useRef<HTMLInputElement>(null);
  const go = (next: { q?: string; show?: Which }): void => {
    const words = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(next)) {
      if (value === "" || value === "all") words.delete(key);
      else words.set(key, value);
    }
    const text = words.toString();
    navigate(text === "" ? "/console/models" : `/console/models?${text}`, { replace: true });
  };
  useShortcuts([
    { keys: "/", label: "Search models", run: () => search.current?.focus() },
    { keys: "r", label: "Look again", run: () => query.reload() },
  ]);
  return (
    <PageFrame
      title="Models"
      actions={
        <>
          <input
            ref={search}
            type="search"
            value={q}
            onChange={(event) => go({ q: event.target.value })}
            onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
            aria-label="Search models and providers"
            placeholder="Search models"
            className={cx(FIELD, "w-40 md:w-56")}
          />
          <Button size="small" icon="retry" onClick={query.reload}>
            Look again
          </Button>
        </>
      }
      below={
        <Tabs
          label="Which models"
          className="mt-2"
          chosen={which}
          onChoose={(show) => go({ show })}
          tabs={[
            { name: "all", label: "All" },
            { name: "usable", label: "Usable" },
            { name: "not", label: "Not usable" },
          ]}
        />
      }
    >
      <Loaded query={query}>{(data) => <Shown data={sifted(data, q, which)} isSifted={q !== "" || which !== "all"} onClear={() => go({ q: "", show: "all" })} />}</Loaded>
    </PageFrame>
  );
}

/** What matches; of a provider that matches only by some models, those. */
export function sifted(data: Models, q: string, which: Which): Models {
  const wanted = q.trim().toLowerCase();
  const fits = (usable: boolean): boolean => which === "all" || usable === (which === "usable");
  const has = (text: string): boolean => text.toLowerCase().includes(wanted);
  return {
    models: data.models.filter((model) => fits(model.usable) && [model.name, ...model.agents, ...model.flows].some(has)),
    providers: data.providers
      .filter((provider) => fits(provider.usable))
      .map((provider) => (has(provider.name) || has(provider.why) ? provider : { ...provider, models: provider.models.filter(has) }))
      .filter((provider) => has(provider.name) || has(provider.why) || provider.models.length > 0),
  };
}

function Shown({ data, isSifted, onClear }: { data: Models; isSifted: boolean; onClear: () => void }) {
  if (data.models.length === 0 && data.providers.length === 0) {
    return isSifted ? (
      <PageState kind="empty" title="No model matches" action={<Button onClick={onClear}>Show all</Button>} />
    ) : (
      <PageState kind="empty" icon="models" title="No models">
        The app names none, and no provider is set up.
      </PageState>
    );
  }
  return (
    <div tabIndex={0} role="region" aria-label="Models" className="min-h-0 flex-1 overflow-y-auto focus-visible:outline-offset-[-2px]">
      <div className="grid gap-6 p-4 md:p-6">
        {data.models.length === 0 ? null : (
          <section aria-label="Models of this app">
            <h2 className="mb-2 text-sm font-semibold">Models of this app</h2>
            <ul className="overflow-hidden rounded-lg border border-line">
              {data.models.map((model) => (
                <ModelRow key={model.name} model={model} />
              ))}
            </ul>
          </section>
        )}
        {data.providers.length === 0 ? null : (
          <section aria-label="Providers">
            <h2 className="mb-2 text-sm font-semibold">Providers</h2>
            <ul className="grid gap-3 md:grid-cols-2 2xl:grid-cols-3">
              {data.providers.map((provider) => (
                <ProviderCard key={provider.name} provider={provider} open={isSifted} />
              ))}
            </ul>
          </section>
        )}
      </div>
    </div>
  );
}

function ModelRow({ model }: { model: UsedModel }) {
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line/60 px-3 py-2.5 text-sm last:border-0">
      <span className="min-w-0 font-medium break-words [overflow-wrap:anywhere]">{visible(model.name)}</span>
      <Usable {...model} />
      <span className="min-w-0 flex-1 basis-40 text-muted [overflow-wrap:anywhere]">{visible(whyOf(model))}</span>
      <span className="flex min-w-0 flex-wrap gap-x-3 gap-y-1 text-xs">
        {model.agents.map((name) => (
          <a key={`a ${name}`} {...linkTo(`/console/runs?agent=${encodeURIComponent(name)}`)} className="text-accent hover:underline">
            agent {visible(name)}
          </a>
        ))}
        {model.flows.map((name) => (
          <a key={`f ${name}`} {...linkTo(pathTo("flows", ...name.split("/")))} className="text-accent hover:underline">
            flow {visible(name)}
          </a>
        ))}
      </span>
    </li>
  );
}

function ProviderCard({ provider, open }: { provider: Provider; open: boolean }) {
  return (
    <li className="min-w-0 rounded-lg border border-line p-3">
      <div className="flex items-center gap-2">
        <h3 className="min-w-0 truncate font-medium">{visible(provider.name)}</h3>
        <Usable {...provider} />
      </div>
      <p className="mt-1 text-sm break-words text-muted [overflow-wrap:anywhere]">{visible(whyOf(provider))}</p>
      {provider.models.length === 0 ? null : (
        <details className="mt-2" {...(open ? { open: true } : {})}>
          <summary className="text-xs font-medium text-accent">
            {provider.models.length} {provider.models.length === 1 ? "model" : "models"}
          </summary>
          <ul className="mt-1.5 grid gap-0.5 font-mono text-xs">
            {provider.models.map((name) => (
              <li key={name} className="break-all">
                {visible(name)}
              </li>
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}
