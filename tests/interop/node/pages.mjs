// What a page with the AI SDK does, against a running server: one function per scenario.
//
//     node pages.mjs PACKAGES URL NAME...
//
// PACKAGES is a folder whose node_modules holds `ai`. Prints one JSON line per scenario as it ends:
// {"name", "seconds", "fault": null or a text}. The pages are real `AbstractChat` objects, the class
// that `useChat` runs, over `DefaultChatTransport`; only React is missing.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [packages, server, ...names] = process.argv.slice(2);
const ai = await import(pathToFileURL(createRequire(join(packages, "package.json")).resolve("ai")));
const SECONDS = 60;
const WAIT = 10;

// ------------------------------------------------------------------------------------ the stage

class State {
  status = "ready";
  error = undefined;
  messages = [];
  pushMessage = (message) => {
    this.messages = [...this.messages, message];
  };
  popMessage = () => {
    this.messages = this.messages.slice(0, -1);
  };
  replaceMessage = (index, message) => {
    this.messages = this.messages.map((old, place) => (place === index ? structuredClone(message) : old));
  };
  snapshot = (thing) => structuredClone(thing);
}

/** A page of a user, a new one unless `token` is given. `requests` lists what it fetched, `data` what `onData` got. */
class Page extends ai.AbstractChat {
  constructor({ id = randomToken(), token = `demo-${randomUUID()}`, mount = "", messages = [], ...options } = {}) {
    const headers = { "x-storageapi-token": token, "x-storageapi-url": server };
    const requests = [];
    const data = [];
    const transport = new ai.DefaultChatTransport({
      api: `${server}${mount}/api/chat`,
      headers,
      fetch: (address, init) => {
        requests.push(`${init.method} ${new URL(address).pathname}`);
        return fetch(address, init);
      },
    });
    super({ id, transport, state: new State(), onData: (part) => data.push(part), ...options });
    this.messages = messages;
    Object.assign(this, { token, headers, requests, data, mount });
  }

  /** Another tab of the same user on the same chat. */
  sibling(messages = [], options = {}) {
    return new Page({ id: this.id, token: this.token, mount: this.mount, messages, ...options });
  }

  async fetch(method, path, body) {
    return fetch(`${server}${this.mount}${path}`, { method, headers: this.headers, body });
  }

  /** The messages as the server has stored them. */
  async stored() {
    const answer = await this.fetch("GET", `/api/chat/${this.id}`);
    assert.equal(answer.status, 200);
    return (await answer.json()).messages;
  }

  async say(text, options) {
    await this.sendMessage({ text, ...options });
    return textOf(this.lastMessage);
  }

  async stopped() {
    assert.equal((await this.fetch("POST", `/api/chat/${this.id}/stop`)).status, 200);
  }

  /** Fail unless the page is at rest, without an error, and shows what the server has stored. */
  async settled() {
    assert.deepEqual([this.status, this.error], ["ready", undefined]);
    const stored = await this.stored();
    const shape = (messages) => messages.map((message) => [message.id, message.role, textOf(message)]);
    assert.deepEqual(shape(this.messages), shape(stored));
    return stored;
  }
}

const randomToken = () => randomUUID().replaceAll("-", "").slice(0, 16);
const textOf = (message) => partsOf(message, "text").map((part) => part.text).join("");
const partsOf = (message, type) => message.parts.filter((part) => part.type === type);
const bucket = (page) => partsOf(page.lastMessage, "tool-create_bucket")[0];
const counted = (number) => Array.from({ length: number }, (_, place) => place + 1).join(" ");

/** Wait until something is true. */
async function until(condition, what) {
  const end = Date.now() + WAIT * 1000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `not within ${WAIT} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Say something, and come back as soon as some of the answer is shown; `end` is the end of the request. */
async function begun(page, text) {
  const end = page.sendMessage({ text });
  await until(() => page.lastMessage?.role === "assistant" && textOf(page.lastMessage).length >= 3, "text");
  return { end };
}

/** A page whose `create_bucket` waits for a decision. */
async function waiting(name, options) {
  const page = new Page(options);
  await page.sendMessage({ text: `approve: create_bucket ${name}` });
  const part = bucket(page);
  assert.deepEqual([page.status, part.state, part.input], ["ready", "approval-requested", { name }]);
  return page;
}

const automatic = { sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithApprovalResponses };

// ------------------------------------------------------------------------------------ scenarios

const scenarios = {
  async a_message_is_answered() {
    let finished;
    const page = new Page({ onFinish: (told) => (finished = told) });
    assert.equal(await page.say("echo: hi žluťoučký \u2028 kůň 😀"), "hi žluťoučký \u2028 kůň 😀");
    assert.equal(await page.say("recall"), "echo: hi žluťoučký \u2028 kůň 😀");
    await page.settled();
    assert.equal(finished.message.id, page.lastMessage.id);
    assert.deepEqual([finished.isAbort, finished.isError, finished.isDisconnect], [false, false, false]);
    assert.equal(finished.finishReason ?? "stop", "stop");
  },

  async usage_and_title_are_told_and_do_not_become_parts() {
    const page = new Page();
    await page.say("tool: add 2 3");
    const usage = page.data.filter((part) => part.type === "data-usage");
    assert.equal(usage.length, 1);
    assert.equal(usage[0].data.totalTokens, usage[0].data.promptTokens + usage[0].data.completionTokens);
    assert.ok(page.data.some((part) => part.type === "data-chat-title"));
    assert.ok(!page.lastMessage.parts.some((part) => part.type.startsWith("data-")));
  },

  async a_tool_and_reasoning_become_parts_that_the_server_stores_alike() {
    const page = new Page();
    assert.equal(await page.say("tool: add 2 3"), "5");
    const [part] = partsOf(page.lastMessage, "tool-add");
    assert.deepEqual([part.state, part.input, part.output], ["output-available", { a: 2, b: 3 }, { result: 5 }]);
    assert.equal(await page.say("reason: the sky"), "the sky");
    assert.deepEqual(
      page.lastMessage.parts.map((part) => [part.type, part.text, part.state]).slice(1),
      [
        ["reasoning", "thinking about the sky", "done"],
        ["text", "the sky", "done"],
      ],
    );
    const stored = await page.settled();
    const kinds = (messages) => messages.map((message) => message.parts.map((part) => part.type));
    assert.deepEqual(kinds(stored), kinds(page.messages));
    await ai.validateUIMessages({ messages: stored });
    const reloaded = page.sibling(stored);
    assert.equal(await reloaded.say("recall"), "reason: the sky");
    await reloaded.settled();
  },

  async an_error_within_the_answer_is_shown_and_the_chat_goes_on() {
    const page = new Page();
    await page.sendMessage({ text: "fail: out of cheese" });
    assert.equal(page.status, "error");
    assert.match(page.error.message, /out of cheese/);
    assert.ok(textOf(page.lastMessage));
    page.clearError();
    assert.equal(await page.say("recall"), "fail: out of cheese");
    await page.settled();
  },

  async a_refused_message_shows_the_servers_words() {
    const page = new Page({ token: `demo-limit1-${randomUUID()}` });
    await page.say("echo: 1");
    await page.sendMessage({ text: "echo: 2" });
    assert.equal(page.status, "error");
    const told = page.error.message.includes("{") ? JSON.parse(page.error.message) : { code: page.error.message };
    assert.match(told.code, /rate_limit:chat/);
  },

  async an_answer_is_regenerated() {
    const page = new Page();
    await page.say("echo: first");
    await page.say("tool: add 20 3");
    const old = page.lastMessage.id;
    await page.regenerate();
    assert.deepEqual([page.messages.length, textOf(page.lastMessage)], [4, "23"]);
    assert.notEqual(page.lastMessage.id, old);
    await page.settled();
    await page.regenerate({ messageId: page.lastMessage.id });
    assert.deepEqual([page.messages.length, textOf(page.lastMessage)], [4, "23"]);
    await page.settled();
  },

  async a_failed_answer_is_regenerated() {
    const page = new Page();
    await page.sendMessage({ text: "fail: bang" });
    assert.equal(page.status, "error");
    await page.regenerate();
    assert.match(page.error.message, /bang/);
    const stored = await page.stored();
    assert.deepEqual(stored.map((message) => message.role), ["user", "assistant"]);
  },

  async a_message_is_edited() {
    const page = new Page();
    await page.say("echo: one");
    await page.say("echo: two");
    const [first] = page.messages;
    assert.equal(await page.say("echo: changed", { messageId: first.id }), "changed");
    const stored = await page.settled();
    assert.deepEqual([stored.length, stored[0].id], [2, first.id]);
    assert.equal(await page.say("recall"), "echo: changed");
  },

  async a_page_that_stops_listening_does_not_stop_the_run_and_slash_stop_does() {
    const page = new Page();
    const over = await begun(page, "slow: 400 50");
    await page.stop();
    await over.end;
    assert.equal(page.status, "ready");
    const going = await page.fetch("GET", `/api/chat/${page.id}/stream`);
    assert.equal(going.status, 200);
    await page.stopped();
    assert.match(await going.text(), /"abort"[^]*DONE/);
    const stored = await page.stored();
    assert.ok(textOf(stored[1]).startsWith(textOf(page.lastMessage)), textOf(stored[1]));
    assert.equal(stored[1].metadata.interrupted, true);
    assert.equal(await page.say("echo: on"), "on");
  },

  async a_run_that_is_stopped_ends_the_stream_that_shows_it() {
    const page = new Page();
    const over = await begun(page, "slow: 400 50");
    await page.stopped();
    await over.end;
    const stored = await page.settled();
    assert.equal(stored[1].metadata.interrupted, true);
  },

  async a_second_tab_resumes_what_the_first_began() {
    const page = new Page();
    const over = await begun(page, "slow: 20 100");
    const stored = await page.stored();
    assert.deepEqual(stored.map((message) => message.role), ["user"]);
    const tab = page.sibling(stored);
    await tab.resumeStream();
    await over.end;
    assert.equal(textOf(tab.lastMessage), counted(20));
    assert.deepEqual(await tab.settled(), await page.settled());
  },

  async where_nothing_runs_resuming_shows_nothing() {
    const page = new Page();
    await page.resumeStream();
    assert.deepEqual([page.status, page.messages], ["ready", []]);
    await page.say("echo: x");
    const tab = page.sibling(await page.stored());
    await tab.resumeStream();
    await tab.settled();
  },

  async an_approval_is_given_and_the_answer_goes_on_by_itself() {
    const page = await waiting("e1", automatic);
    await page.addToolApprovalResponse({ id: bucket(page).approval.id, approved: true });
    await until(() => textOf(page.lastMessage) === "created e1" && page.status === "ready", "the answer");
    assert.deepEqual(bucket(page).output, { name: "e1", status: "created" });
    assert.deepEqual([bucket(page).state, page.requests.length], ["output-available", 2]);
    const stored = await page.settled();
    await ai.validateUIMessages({ messages: stored });
    assert.equal(await page.say("recall"), "approve: create_bucket e1");
    await page.settled();
  },

  async an_approval_is_refused_with_a_reason() {
    const page = await waiting("e2", automatic);
    await page.addToolApprovalResponse({ id: bucket(page).approval.id, approved: false, reason: "not today" });
    await until(() => textOf(page.lastMessage) === "denied" && page.status === "ready", "the answer");
    assert.deepEqual([bucket(page).state, page.requests.length], ["output-denied", 2]);
    const stored = await page.settled();
    const part = stored[1].parts.find((part) => part.type === "tool-create_bucket");
    assert.deepEqual([part.state, part.approval.approved, part.approval.reason], ["output-denied", false, "not today"]);
    await ai.validateUIMessages({ messages: stored });
  },

  async an_approval_is_sent_by_hand_from_a_page_that_was_loaded_anew() {
    const first = await waiting("e3");
    const page = first.sibling(await first.stored());
    await page.addToolApprovalResponse({ id: bucket(page).approval.id, approved: true });
    await page.sendMessage();
    assert.equal(textOf(page.lastMessage), "created e3");
    await page.settled();
  },

  async a_call_that_waits_is_superseded_by_a_new_message() {
    const page = await waiting("e4");
    assert.equal(await page.say("echo: never mind"), "never mind");
    const stored = await page.stored();
    assert.deepEqual(stored.map((message) => message.role), ["user", "assistant", "user", "assistant"]);
    assert.equal(stored[1].parts.find((part) => part.type === "tool-create_bucket").state, "output-denied");
  },

  async a_continuation_is_resumed_by_a_second_tab() {
    let page, tab;
    for (let attempt = 0; attempt < 3 && !tab?.messages[1]; attempt++) {
      page = await waiting("slow-e5", automatic);
      tab = page.sibling((await page.stored()).slice(0, 1));
      await page.addToolApprovalResponse({ id: bucket(page).approval.id, approved: true });
      // the tool takes a second; the decision may not have arrived yet, or on a busy machine all may be over
      while (!tab.messages[1] && textOf(page.lastMessage) === "") await tab.resumeStream();
      await until(() => page.status === "ready", "the end");
    }
    assert.equal(textOf(tab.lastMessage), "created slow-e5");
    assert.deepEqual([bucket(tab).state, bucket(tab).input], ["output-available", { name: "slow-e5" }]);
    await tab.settled();
    await page.settled();
  },

  async the_second_mount_does_a_page_no_harm() {
    const page = new Page({ mount: "/agent" });
    assert.equal(await page.say("tool: add 2 3"), "5");
    await page.regenerate();
    await page.settled();
    await page.resumeStream();
    await page.settled();
  },

  async the_second_mount_ends_a_pages_stream_when_a_call_waits() {
    const page = await waiting("e6", { ...automatic, mount: "/agent" });
    await page.addToolApprovalResponse({ id: bucket(page).approval.id, approved: true });
    await until(() => textOf(page.lastMessage) === "created e6" && page.status === "ready", "the answer");
    await page.settled();
  },

  async a_tool_of_the_page_is_run_by_the_page() {
    const page = new Page({
      sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithToolCalls,
      onToolCall: ({ toolCall: { toolName, toolCallId, input } }) => {
        assert.deepEqual([toolName, input], ["locate", { of: "me" }]);
        void page.addToolOutput({ tool: toolName, toolCallId, output: { city: "Brno" } });
      },
    });
    await page.sendMessage({ text: 'client: locate {"of": "me"}' });
    await until(() => textOf(page.lastMessage).includes("Brno") && page.status === "ready", "the answer");
    assert.equal(page.requests.length, 2);
    await page.settled();
  },

  async without_approvals_a_tool_that_needs_one_is_not_offered() {
    const page = new Page();
    await page.say("approve: create_bucket never");
    assert.equal(page.status, "ready");
    assert.ok(!page.lastMessage.parts.some((part) => part.type.startsWith("tool-")));
    assert.equal(await page.say("tool: add 2 3"), "5");
    await page.settled();
  },
};

// ------------------------------------------------------------------------------------ playing

async function play(name) {
  const began = Date.now();
  let fault = null;
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${SECONDS} s`)), SECONDS * 1000);
  });
  try {
    await Promise.race([scenarios[name](), late]);
  } catch (error) {
    fault = String(error?.stack ?? error);
  } finally {
    clearTimeout(timer);
  }
  console.log(JSON.stringify({ name, seconds: (Date.now() - began) / 1000, fault }));
}

await Promise.all(names.map(play));
