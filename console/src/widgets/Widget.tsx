// A widget of ChatKit, drawn. Stands by itself: what it needs of the page comes as props, what it wants is told by
// `onAction`. The same components are to become the element `openai-chatkit`.

import "./widgets.css";
import { Component as ReactComponent, memo, type ReactElement, type ReactNode, useId, useState } from "react";
import { visible } from "../markdown";
import { Component } from "./Component";
import { isNode } from "./fields";
import { FormContext, FormStore } from "./formState";
import { HostProvider, type OnAction } from "./host";
import { themeOf } from "./roots";

export interface WidgetProps {
  /** The widget as it came: a tree of components. Anything else is said to be none. */
  readonly widget: unknown;
  /**
   * Sends an action. The widget waits for the promise; what it throws is shown and can be tried again.
   * Without it the widget is there to be read only.
   */
  readonly onAction?: OnAction;
  readonly disabled?: boolean;
  /** Which pictures may be loaded: by default those of this server and those that are part of the widget. */
  readonly isOwnImage?: (address: string) => boolean;
  readonly label?: string;
}

export const Widget = memo(function Widget(props: WidgetProps): ReactElement {
  const [store] = useState(() => new FormStore());
  const id = useId();
  if (!isNode(props.widget)) return <Failed />;
  const node = props.widget;
  return (
    <Boundary of={node}>
      <HostProvider onAction={props.onAction} disabled={props.disabled ?? false} isOwnImage={props.isOwnImage}>
        {(isBusy, failure) => (
          <div
            role="group"
            className="dgw"
            aria-label={props.label ?? "Widget"}
            aria-busy={isBusy || undefined}
            data-theme={themeOf(node)}
          >
            <FormContext value={{ store, id, sends: false, submit: null }}>
              <Component node={node} />
            </FormContext>
            {failure !== null && (
              <p className="dgw-failure" role="alert">
                This could not be sent: {visible(failure)}
              </p>
            )}
          </div>
        )}
      </HostProvider>
    </Boundary>
  );
});

function Failed(): ReactElement {
  return <p className="dgw dgw-unknown">This widget cannot be shown.</p>;
}

/** A widget that cannot be drawn does not take the page with it; another one in its place is tried again. */
class Boundary extends ReactComponent<{ of: unknown; children: ReactNode }, { failedOn: unknown }> {
  override state: { failedOn: unknown } = { failedOn: undefined };

  static getDerivedStateFromError(): { failedOn: unknown } {
    return { failedOn: null };
  }

  override componentDidCatch(): void {
    this.setState({ failedOn: this.props.of });
  }

  override render(): ReactNode {
    const { failedOn } = this.state;
    if (failedOn === null || (failedOn !== undefined && failedOn === this.props.of)) return <Failed />;
    return this.props.children;
  }
}
