// Where the widgets of ChatKit's types meet the chat: what a widget wants is told in the chat's words.
//
// A form is a tool that waits for the page, so its values are handed in as that tool's output, in the same request that
// brings the answer's continuation (Kai's wire, form E). The own face could take the output as well, but then the
// continuation would need a second request, and between the two another tab could be first without being noticed.
// Any other action of a widget is ChatKit's, and goes over its wire (see actions.ts).

import { isRecord } from "../api/http";
import { Button } from "../ui/button";
import { Widget, type WidgetAction } from "../widgets";

interface ShownProps {
  widget: unknown;
  onAction?: (action: WidgetAction) => Promise<void>;
}

export function Shown({ widget, onAction }: ShownProps) {
  return <Widget widget={widget} {...(onAction ? { onAction } : {})} />;
}

interface FormProps {
  widget: unknown;
  label: string;
  onSubmit: (values: Record<string, unknown>) => void;
  onCancel: () => void;
  onAction: (action: WidgetAction) => Promise<void>;
}

export function Form({ widget, label, onSubmit, onCancel, onAction }: FormProps) {
  const act = async (action: WidgetAction): Promise<void> => {
    if (action.type === "form.submit") onSubmit(valuesOf(action.payload));
    else if (action.type === "form.cancel") onCancel();
    else await onAction(action);
  };
  return (
    <section aria-label={label} data-form className="grid justify-items-start gap-1">
      <Widget widget={widget} label={label} onAction={act} />
      <Button look="ghost" size="small" onClick={onCancel}>
        Close without an answer
      </Button>
    </section>
  );
}

/** The values of a form: its payload without what the card had added. */
export function valuesOf(payload: unknown): Record<string, unknown> {
  if (!isRecord(payload)) return {};
  const { call: _, ...values } = payload;
  return values;
}
