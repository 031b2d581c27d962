// Everything that is shown comes from mail or from API calls: it is inserted as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const region = () => encodeURIComponent(byId("region").value.trim() || "us-east-1");
const url = (path) => `/_sim/${path}${path.includes("?") ? "&" : "?"}region=${region()}`;
let account = {};
let clock = {};
let shownMessages = "";

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function pairs(target, entries) {
  target.replaceChildren(...entries.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}

async function ask(method, path, body) {
  const options = { method };
  if (body !== undefined) options.body = JSON.stringify(body);
  const reply = await fetch(url(path), options);
  const text = await reply.text();
  if (!reply.ok) throw new Error(`${method} ${path}: ${text}`);
  return JSON.parse(text);
}

function showProblem(error) {
  byId("problem").textContent = error.message;
  byId("problem").hidden = false;
}

async function act(work) {
  try {
    await work();
    byId("problem").hidden = true;
    await refresh();
  } catch (error) {
    showProblem(error);
  }
}

function showLimits() {
  byId("tokens").max = account.burst;
  byId("tokens").value = Math.max(0, account.tokens);
  byId("rate-text").textContent = `${account.tokens.toFixed(1)} of ${account.burst} tokens, ${account.max_send_rate}/s`;
  const unlimited = account.max_24_hour_send < 0;
  byId("day").max = unlimited ? 1 : Math.max(1, account.max_24_hour_send);
  byId("day").value = unlimited ? 0 : account.sent_last_24_hours;
  byId("day-text").textContent = `${account.sent_last_24_hours} of ${unlimited ? "unlimited" : account.max_24_hour_send}`;
  byId("mode").textContent = account.production_access ? "production" : "sandbox";
  byId("production").textContent = account.production_access ? "Back to the sandbox" : "Grant production access";
  byId("pause").textContent = account.sending_enabled ? "Pause sending" : "Resume sending";
  byId("clock").textContent = new Date(clock.now * 1000).toISOString() + (clock.frozen ? " (frozen)" : "");
  byId("freeze").textContent = clock.frozen ? "Run" : "Freeze";
}

function showIdentities(identities) {
  byId("identities").replaceChildren(...identities.map((each) => {
    const item = element("li", `${each.identity}: ${each.status} `);
    if (each.status !== "SUCCESS") {
      const button = element("button", "Verify");
      button.type = "button";
      button.addEventListener("click", () => act(() => verify(each.identity)));
      item.append(button);
    }
    return item;
  }));
}

// A table that is built again loses focus and selection: it is built only if there is something new.
function showMessages(messages) {
  const state = `${region()} ${messages.map((each) => each.number)}`;
  if (state === shownMessages) return;
  shownMessages = state;
  byId("empty").hidden = messages.length > 0;
  byId("messages").replaceChildren(...messages.reverse().map((each) => {
    const row = document.createElement("tr");
    row.tabIndex = 0;
    const outcome = each.accepted ? (each.reply_lost ? "accepted, reply lost" : "accepted") : each.kind;
    row.append(
      element("td", new Date(each.at * 1000).toISOString().slice(0, 19).replace("T", " ")),
      element("td", outcome, each.accepted ? "accepted" : "refused"),
      element("td", each.from),
      element("td", [...each.to, ...each.cc, ...each.bcc].join(", ")),
      element("td", each.subject),
    );
    row.addEventListener("click", () => act(() => open(each.number)));
    row.addEventListener("keydown", (event) => { if (event.key === "Enter") act(() => open(each.number)); });
    return row;
  }));
}

async function open(number) {
  const message = await ask("GET", `messages/${number}`);
  byId("subject").textContent = message.subject || "(no subject)";
  byId("why").textContent = message.accepted ? `Accepted as ${message.id}` : `Refused (${message.kind}): ${message.error}`;
  pairs(byId("headers"), message.headers.concat(Object.entries(message.tags).map(([name, value]) => [`tag ${name}`, value])));
  byId("text").textContent = message.text;
  byId("frame").replaceChildren();
  if (message.has_html) {
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", "");
    frame.title = "The message's HTML";
    frame.src = url(`messages/${number}/html`);
    byId("frame").append(frame);
  }
  byId("attachments").replaceChildren(...message.attachments.map((each, index) => {
    const item = document.createElement("li");
    const link = element("a", `${each.name} (${each.content_type}, ${each.bytes} bytes)`);
    link.href = url(`messages/${number}/attachments/${index}`);
    item.append(link);
    return item;
  }));
  byId("raw").href = url(`messages/${number}/raw`);
  byId("message").hidden = false;
}

const verify = (name) => ask("POST", `identities/${encodeURIComponent(name)}/verify`);

async function refresh() {
  const [state, report, identities, messages, now] = await Promise.all([
    ask("GET", "account"), ask("GET", "report"), ask("GET", "identities"), ask("GET", "messages?limit=200"), ask("GET", "clock"),
  ]);
  [account, clock] = [state, now];
  showLimits();
  showIdentities(identities);
  showMessages(messages);
  pairs(byId("report"), Object.entries(report).map(([name, value]) =>
    [name.replaceAll("_", " "), typeof value === "object" ? JSON.stringify(value) : String(value)]));
}

async function fillForms() {
  for (const name of ["max_send_rate", "max_24_hour_send"]) byId("quota").elements[name].value = account[name];
  byId("faults").elements.plan.value = JSON.stringify(await ask("GET", "faults"));
}

function onSubmit(id, work) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act(() => work(event.target.elements));
  });
}

onSubmit("quota", (fields) => ask("PUT", "account", {
  max_send_rate: Number(fields.max_send_rate.value),
  max_24_hour_send: Number(fields.max_24_hour_send.value),
  burst: fields.burst.value === "" ? null : Number(fields.burst.value),
}));
onSubmit("verify", (fields) => verify(fields.name.value.trim()));
onSubmit("faults", (fields) => ask("PUT", "faults", JSON.parse(fields.plan.value || "{}")));
byId("production").addEventListener("click", () => act(() => ask("PUT", "account", { production_access: !account.production_access })));
byId("pause").addEventListener("click", () => act(() => ask("PUT", "account", { sending_enabled: !account.sending_enabled })));
byId("reset").addEventListener("click", () => act(async () => {
  await ask("POST", "reset");
  byId("message").hidden = true;
}));
byId("freeze").addEventListener("click", () => act(() => ask("POST", "clock", { freeze: !clock.frozen })));
byId("region").addEventListener("change", () => {
  byId("message").hidden = true;
  act(async () => { await refresh(); await fillForms(); });
});
for (const button of document.querySelectorAll("[data-seconds]")) {
  button.addEventListener("click", () => act(() => ask("POST", "clock", { advance: Number(button.dataset.seconds) })));
}
act(refresh).then(() => act(fillForms));
setInterval(() => { if (!document.hidden) refresh().catch(showProblem); }, 2000);
