// A chat as somebody writes it who has read the AI SDK's documentation and knows of Dragoman only its address.
//
//     ?            a new chat, whose id the hook makes
//     ?new=ID      a new chat with an id of the page's own
//     ?chat=ID     a stored chat: its messages come from the server, and an answer that is under way goes on
//     &object      the hook is given a chat object, in place of what makes one
//
// Attributes `data-…` are for who compares what the page shows with what the server has stored.

import { Chat, useChat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";
import { useEffect, useState } from "react";

/** What this page's own sign-in would have left here. */
const { server, token } = window.session;
const headers = { authorization: `Bearer ${token}` };
const transport = new DefaultChatTransport({ api: `${server}/api/chat`, headers });

export function App(options) {
  const [asked] = useState(() => new URLSearchParams(location.search));
  if (asked.has("chat")) return <StoredChat {...options} id={asked.get("chat")} />;
  if (asked.has("object")) return <ObjectChat {...options} id={asked.get("new")} resume />;
  if (asked.has("new")) return <HookChat {...options} id={asked.get("new")} resume />;
  return <HookChat {...options} />;
}

function HookChat(options) {
  return <Conversation chat={useChat({ ...options, transport })} />;
}

function ObjectChat({ resume, ...options }) {
  const [chat] = useState(() => new Chat({ ...options, transport }));
  return <Conversation chat={useChat({ chat, resume })} />;
}

function StoredChat({ id, ...options }) {
  const [messages, setMessages] = useState(null);
  useEffect(() => {
    let isCurrent = true;
    fetch(`${server}/api/chat/${encodeURIComponent(id)}`, { headers })
      .then((response) => response.json())
      .then((chat) => isCurrent && setMessages(chat.messages));
    return () => {
      isCurrent = false;
    };
  }, [id]);
  return messages === null ? <p>Loading…</p> : <HookChat {...options} id={id} messages={messages} resume />;
}

function Conversation({ chat }) {
  const { id, messages, status, error } = chat;
  const [text, setText] = useState("");
  const [edited, setEdited] = useState(undefined);
  const isBusy = status === "submitted" || status === "streaming";

  useEffect(() => {
    if (messages.length > 0) history.replaceState(null, "", `?chat=${encodeURIComponent(id)}`);
  }, [id, messages.length]);

  const submit = (event) => {
    event.preventDefault();
    chat.sendMessage({ text, messageId: edited });
    setText("");
    setEdited(undefined);
  };

  // closing the connection ends nothing, as the documentation says: the server is told
  const stop = async () => {
    await fetch(`${server}/api/chat/${encodeURIComponent(id)}/stop`, { method: "POST", headers });
    await chat.stop();
  };

  return (
    <main>
      {messages.map((message) => (
        <article key={message.id} aria-label={message.role} data-message={message.id}>
          {message.parts.map((part, index) => (
            <Part key={index} part={part} decide={chat.addToolApprovalResponse} />
          ))}
          {message.role === "assistant" ? (
            <button onClick={() => chat.regenerate({ messageId: message.id })}>Again</button>
          ) : (
            <button
              onClick={() => {
                setEdited(message.id);
                setText(message.parts.map((part) => part.text ?? "").join(""));
              }}
            >
              Edit
            </button>
          )}
        </article>
      ))}
      <p role="status">{status}</p>
      {error && (
        <section aria-label="Failure">
          <p role="alert">{error.message}</p>
          <button onClick={() => chat.regenerate()}>Retry</button>
          <button onClick={() => chat.resumeStream()}>Reconnect</button>
        </section>
      )}
      {isBusy && <button onClick={stop}>Stop</button>}
      <form onSubmit={submit}>
        <textarea aria-label="Message" value={text} onChange={(event) => setText(event.target.value)} />
        <button disabled={isBusy}>Send</button>
      </form>
    </main>
  );
}

function Part({ part, decide }) {
  if (part.type === "text" || part.type === "reasoning") {
    return (
      <p data-part={part.type} data-field="text">
        {part.text}
      </p>
    );
  }
  if (part.type.startsWith("tool-")) return <Tool part={part} decide={decide} />;
  return null;
}

function Tool({ part, decide }) {
  const [reason, setReason] = useState("");
  const { type, state, approval } = part;
  const told = { input: part.input, output: part.output, errorText: part.errorText, approval };
  const answer = (approved) => decide({ id: approval.id, approved, reason: reason || undefined });
  return (
    <section aria-label={type} data-part={type}>
      <b data-field="state">{state}</b>
      {Object.entries(told).map(
        ([name, value]) =>
          value !== undefined && (
            <code key={name} data-field={name}>
              {JSON.stringify(value)}
            </code>
          ),
      )}
      {state === "approval-requested" && (
        <>
          <input aria-label="Reason" value={reason} onChange={(event) => setReason(event.target.value)} />
          <button onClick={() => answer(true)}>Approve</button>
          <button onClick={() => answer(false)}>Deny</button>
        </>
      )}
    </section>
  );
}
