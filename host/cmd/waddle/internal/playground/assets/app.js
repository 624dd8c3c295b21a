// The page uses the JSON interface as any script would, and shows the answers and
// their headers. Nothing here is markup: text is inserted as text.

const $ = (id) => document.getElementById(id);
const shown = 8; // requests in the list

let state = { values: {}, new: true, modified: false, expires: "" };
let visitor = { user: "", devices: [] };
let token = "";

// JSON whose numbers keep every digit, where the browser can.
const parse = (text) =>
  JSON.parse(text, (_, value, context) =>
    typeof value === "number" && context?.source && JSON.rawJSON ? JSON.rawJSON(context.source) : value);

const isInteger = (text) => /^-?\d+$/.test(text);

// element makes an element with attributes and children.
function element(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in e && key !== "list") e[key] = value;
    else e.setAttribute(key, value);
  }
  e.append(...children);
  return e;
}

function say(text, bad = false) {
  const status = $("status");
  status.classList.toggle("bad", bad);
  status.textContent = text;
  const duck = $("duck");
  duck.classList.remove("go");
  if (!bad) {
    duck.getBoundingClientRect(); // restarts the animation
    duck.classList.add("go");
  }
}

// ask sends a request, shows its headers, and returns the answer.
async function ask(method, path, body, cookie = true) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = body;
  }
  const response = await fetch(path, options).catch(() => {
    throw new Error("The server does not answer. Is it still running?");
  });
  const text = await response.text();
  if (cookie) showCookie(response.headers);
  showRequest(method, path, response);
  let answer;
  try {
    answer = parse(text);
  } catch {
    throw new Error(`The answer ${response.status} is not JSON.`);
  }
  if (!response.ok) throw new Error(`${response.status}: ${answer.error}.`);
  return answer;
}

// act runs a button's action and reports the result.
async function act(action, done) {
  try {
    const answer = await action();
    if (answer?.values) showSession(answer);
    say(typeof done === "function" ? done(answer) : done);
    return true;
  } catch (error) {
    say(error.message, true);
    return false;
  }
}

const address = (key) => `/api/session/${encodeURIComponent(key)}`;

// reload shows the session and its user as they are stored.
async function reload() {
  const answer = await ask("GET", "/api/session");
  showSession(answer);
  await look();
  return answer;
}

const set = (key, value) => act(() => ask("PUT", address(key), value), `${key} is set. It was saved as the answer began.`);

const remove = (key) => act(() => ask("DELETE", address(key)), `${key} is removed.`);

const increment = (key) =>
  act(async () => {
    const answer = await ask("POST", `${address(key)}/increment`);
    // Keep showing the cookie that the increment may have set.
    showSession(await ask("GET", "/api/session", undefined, false));
    return answer;
  }, (answer) => `${key} is now ${JSON.stringify(answer.value)}, in one atomic step.`);

// The session

function showSession(answer) {
  state = answer;
  const pill = (id, text, kind) => {
    $(id).textContent = text;
    $(id).className = `pill ${kind}`;
  };
  if (state.new) pill("new", "new", "warm");
  else pill("new", "stored", "good");
  if (state.modified) pill("modified", state.new ? "modified, stored with this answer" : "modified, saved with this answer", "warm");
  else pill("modified", "not modified", "");
  showTimes();
  showValues();
  $("logout").disabled = state.new && !state.modified;
}

// relative says how far off a time is: "in 7 days", "2 minutes ago". It rounds to
// the nearest, in the largest unit that fits nearly twice.
function relative(time) {
  const seconds = (new Date(time) - Date.now()) / 1000;
  const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]
    .find(([, size]) => Math.abs(seconds) >= 1.95 * size) ?? ["second", 1];
  return new Intl.RelativeTimeFormat("en", { numeric: "always" }).format(Math.round(seconds / size), unit);
}

const past = (time) => (Date.now() - new Date(time) < 5000 ? "just now" : relative(time));

function showTimes() {
  $("expires").parentElement.hidden = !state.expires;
  if (state.expires) {
    const end = new Date(state.expires);
    $("expires").dateTime = state.expires;
    $("expires").textContent = end > Date.now()
      ? `${relative(end)}, ${end.toLocaleString("en-GB", { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" })}`
      : "now";
  }
  for (const time of document.querySelectorAll("#devices time")) {
    time.textContent = time.className === "future" ? relative(time.dateTime) : past(time.dateTime);
  }
}

// showValues keeps existing rows, so that a button keeps its focus.
function showValues() {
  const body = $("values");
  const before = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const rows = Object.entries(state.values).map(([key, value]) => {
    const text = JSON.stringify(value);
    const row = before.get(key) ?? newRow(key);
    row.querySelector(".text").textContent = text;
    row.querySelector(".plus").hidden = !isInteger(text);
    before.delete(key);
    return row;
  });
  for (const row of before.values()) row.remove();
  rows.forEach((row, i) => {
    if (body.rows[i] !== row) body.insertBefore(row, body.rows[i] ?? null);
  });
  $("empty").hidden = rows.length > 0;
  $("table").hidden = rows.length === 0;
}

function newRow(key) {
  const plus = element("button", { type: "button", className: "quiet plus", "aria-label": `Increment ${key}` }, "+1");
  const gone = element("button", { type: "button", className: "quiet remove", "aria-label": `Remove ${key}` }, "Remove");
  plus.addEventListener("click", () => increment(key));
  gone.addEventListener("click", async () => {
    const next = gone.closest("tr").nextElementSibling;
    if (await remove(key)) (next?.querySelector(".remove") ?? $("key")).focus();
  });
  // The roles are explicit because a narrow page does not lay rows out as a table.
  const row = element("tr", { role: "row" },
    element("td", { role: "cell" }, key),
    element("td", { role: "cell" }, element("div", { className: "text" })),
    element("td", { role: "cell" }, plus, gone));
  row.dataset.key = key;
  return row;
}

// The visitor's devices

// look asks where the visitor is logged in. It does not ask for a visitor without a
// session, who is not logged in.
async function look() {
  visitor = state.new && !state.modified ? { user: "", devices: [] } : await ask("GET", "/api/devices", undefined, false);
  const { user, devices } = visitor;
  $("greeting").replaceChildren(...(user
    ? ["Logged in as ", element("strong", { id: "who" }, user), "."]
    : ["Nobody is logged in."]));
  $("devices").replaceChildren(...devices.map(deviceRow));
  $("devices-empty").hidden = user !== "";
  $("end-others").hidden = devices.length < 2;
  showTimes();
}

function deviceRow(device) {
  const name = element("p", { className: "device" }, element("strong", {}, device.browser));
  if (device.current) name.append(element("span", { className: "pill good" }, "this one"));
  if (device.remembered !== undefined) {
    name.append(element("span", { className: "pill" }, device.remembered ? "remembered" : "until the browser closes"));
  }
  const times = element("p", { className: "hint" },
    "began ", element("time", { dateTime: device.created }), " · last seen ", element("time", { dateTime: device.lastSeen }),
    " · ends ", element("time", { dateTime: device.expires, className: "future" }));
  const row = element("li", {}, element("div", {}, name, times));
  if (!device.current) {
    const end = element("button", { type: "button", className: "quiet danger", "aria-label": `End the session of ${device.browser}` }, "End");
    end.addEventListener("click", async () => {
      if (await endAt(`/api/devices/${encodeURIComponent(device.publicId)}`)) ($("devices").querySelector("button") ?? $("logout")).focus();
    });
    row.append(end);
  }
  return row;
}

const endAt = (path) =>
  act(async () => {
    const { ended } = await ask("DELETE", path);
    await look();
    return JSON.stringify(ended);
  }, (ended) => (ended === "1" ? "One session has ended. It is logged out for good." : `${ended} sessions have ended. They are logged out for good.`));

// Messages: left by the previous page, shown once

async function takeMessages() {
  if (state.new) return;
  const { messages } = await ask("DELETE", "/api/flash", undefined, false);
  const list = $("messages");
  list.hidden = messages.length === 0;
  list.replaceChildren(...messages.map((text) => {
    const close = element("button", { type: "button", className: "quiet", "aria-label": `Dismiss: ${text}` }, "Dismiss");
    const item = element("li", {}, element("span", {}, text), close);
    close.addEventListener("click", () => {
      item.remove();
      list.hidden = list.children.length === 0;
    });
    return item;
  }));
}

// The form token

function showToken() {
  $("token").replaceChildren(token
    ? element("code", {}, token)
    : element("span", { className: "nothing" }, "None yet."));
  $("check-token").disabled = token === "";
}

// The cookie, from the server's headers

function showCookie(headers) {
  const received = headers.get("Waddle-Cookie-Received");
  $("received").replaceChildren(received
    ? element("code", {}, received)
    : element("span", { className: "nothing" }, "None"));

  const sent = headers.get("Waddle-Cookie-Set");
  if (!sent) {
    $("sent").replaceChildren(element("span", { className: "nothing" },
      received ? "Nothing: the browser has what it needs." : "Nothing: there is no session to remember."));
    return;
  }
  const [pair, ...attributes] = sent.split(/;\s*/);
  $("sent").replaceChildren(
    element("code", {}, pair.endsWith("=") ? `${pair}  (forget it)` : pair),
    element("div", { className: "chips" }, ...attributes.map((a) => element("span", { className: "chip" }, a))));
}

// The requests and the engine's calls, from Server-Timing

function timings(header) {
  const list = [];
  for (const [, name, rest] of (header ?? "").matchAll(/([\w-]+)((?:;\w+=(?:"[^"]*"|[^,;"]*))*)(?:,\s*|$)/g)) {
    const entry = { name, dur: 0, desc: "" };
    for (const [, key, quoted, plain] of rest.matchAll(/;(\w+)=(?:"([^"]*)"|([^,;"]*))/g)) {
      entry[key] = key === "dur" ? Number(plain) : quoted ?? plain;
    }
    list.push(entry);
  }
  return list;
}

function micros(milliseconds) {
  const us = milliseconds * 1000;
  if (us >= 10000) return `${(us / 1000).toFixed(1)} ms`;
  return `${us >= 100 ? us.toFixed(0) : us.toFixed(1)} µs`;
}

function showRequest(method, path, response) {
  const list = timings(response.headers.get("Server-Timing"));
  const calls = list.filter((t) => !["session", "engine", "total"].includes(t.name));
  const engine = list.find((t) => t.name === "engine");
  const total = list.find((t) => t.name === "total");
  const all = Math.max(total?.dur ?? 0, ...calls.map((t) => t.dur), 0.0001);

  const rows = calls.map((t) => {
    const share = element("i");
    share.style.width = `${(100 * t.dur) / all}%`;
    return element("li", {},
      element("span", { className: "name" }, t.name),
      element("span", { className: "result" }, t.desc),
      element("span", { className: "bar", ariaHidden: "true" }, share),
      element("span", { className: "took" }, micros(t.dur)));
  });
  if (rows.length === 0) rows.push(element("li", { className: "none" }, element("span", { className: "nothing" }, "No call.")));

  const events = list.filter((t) => t.name === "session").map((t) =>
    element("span", { className: "pill good" }, t.desc));
  const failed = response.ok ? [] : [element("span", { className: "pill bad" }, String(response.status))];
  const item = element("li", {},
    element("div", { className: "what" },
      element("code", {}, `${method} ${decodeURI(path)}`), ...failed, ...events,
      element("time", {}, new Date().toLocaleTimeString("en-GB"))),
    element("ol", { className: "calls" }, ...rows),
    element("div", { className: "sum" },
      element("strong", {}, engine ? micros(engine.dur) : "–"),
      element("span", {}, total ? `of ${micros(total.dur)} in all` : "")));
  $("requests").prepend(item);
  while ($("requests").children.length > shown) $("requests").lastElementChild.remove();
}

// The engine and the settings

async function showAbout() {
  const about = await (await fetch("/api/about")).json();
  $("engine-name").textContent = [about.engine.name, about.engine.version].filter(Boolean).join(" ");
  $("engine-kind").textContent = about.engine.kind ?? "";
  $("engine-keeps").textContent = about.engine.keeps ?? "";
  const sealed = about.sealing !== "none";
  $("sealing").replaceChildren(element("strong", {}, sealed ? "yes" : "no"), element("span", {}, sealed
    ? `AES-256-GCM, ${about.sealing}`
    : "WADDLE_SECRET is not set"));
  $("settings").replaceChildren(...about.settings.map((s) =>
    element("div", { className: s.changed ? "changed" : "" }, element("dt", {}, s.name), element("dd", {}, s.value))));
  const changed = about.settings.filter((s) => s.changed).length;
  $("changed").textContent = changed ? `${about.settings.length}, ${changed} changed from the default` : `${about.settings.length}, all at their defaults`;
}

// The buttons

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  let value = $("value").value;
  try {
    JSON.parse(value);
  } catch {
    value = JSON.stringify(value);
  }
  if (await set($("key").value, value)) $("value").value = "";
});

$("increment").addEventListener("click", () => {
  if ($("key").reportValidity()) increment($("key").value);
});

$("reload").addEventListener("click", () => act(reload, "The session as it is stored."));

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const user = $("user").value;
  const remember = $("remember").checked;
  const kept = remember ? "The browser keeps the cookie when it closes." : "The browser forgets the cookie when it closes.";
  if (await act(async () => {
    showSession(await ask("POST", "/api/login", JSON.stringify({ user, remember })));
    await look();
  }, `Welcome, ${user}. The session has a new id. ${kept}`)) {
    $("user").value = "";
    $("logout").focus();
  }
});

$("logout").addEventListener("click", async () => {
  if (await act(async () => {
    showSession(await ask("POST", "/api/logout"));
    await look();
  }, "Logged out. The session is gone for good.")) $("user").focus();
});

$("end-others").addEventListener("click", async () => {
  if (await endAt("/api/devices")) $("logout").focus();
});

$("flash-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await act(() => ask("POST", "/api/flash", JSON.stringify({ message: $("message").value })), "The message waits for the next page.")) {
    $("message").value = "";
    $("next").focus();
  }
});

$("next").addEventListener("click", () => location.reload());

$("get-token").addEventListener("click", () => act(async () => {
  ({ token } = await ask("POST", "/api/csrf"));
  showToken();
  showSession(await ask("GET", "/api/session", undefined, false));
}, "A token for the forms of this session."));

$("check-token").addEventListener("click", async () => {
  await act(async () => {
    const { valid } = await ask("POST", "/api/csrf/check", JSON.stringify({ token }));
    if (!valid) throw new Error("Refused: the token is not valid for this session any more. Get a new one.");
  }, "Accepted: the token is valid for this session.");
});

$("origin").textContent = location.origin;
setInterval(showTimes, 15000);
showToken();
showAbout().catch(() => {});
act(async () => {
  const answer = await reload();
  await takeMessages();
  return answer;
}, (answer) => (answer.new ? "Welcome. You have no session yet." : "Welcome back. This is your session."));
