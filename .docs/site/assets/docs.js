"use strict";

const root = document.currentScript.dataset.root;

// On a wide screen the contents are always open; on a small one they take the page's
// first line until somebody opens them.
const menu = document.querySelector(".menu");
const wide = matchMedia("(min-width: 52.01rem)");
const fit = () => { menu.open = wide.matches; };
fit();
wide.addEventListener("change", fit);

const current = document.querySelector(".contents [aria-current]");
if (current && wide.matches) {
  const nav = document.querySelector(".contents");
  nav.scrollTop = current.offsetTop - nav.clientHeight / 3;
}

for (const h of document.querySelectorAll("article :is(h2, h3, h4)[id]")) {
  const a = document.createElement("a");
  a.className = "anchor";
  a.href = "#" + h.id;
  a.textContent = "#";
  a.setAttribute("aria-label", "Link to " + h.textContent.trim());
  h.append(a);
}

for (const table of document.querySelectorAll("article table")) {
  const box = document.createElement("div");
  box.className = "wide";
  box.tabIndex = 0;
  table.replaceWith(box);
  box.append(table);
}

if (navigator.clipboard) {
  for (const pre of document.querySelectorAll("pre.code")) {
    const button = document.createElement("button");
    button.className = "copy";
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(pre.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    pre.append(button);
  }
}

// The search reads its index, about a megabyte, when somebody first goes there.
const form = document.querySelector(".search");
const input = document.querySelector("#query");
const results = document.querySelector("#results");
let index = null;
let selected = -1;

const load = () => {
  index ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = root + "search.js";
    script.onload = () => {
      const { pages, sections } = window.searchIndex;
      for (const s of sections) {
        s.heading = s.h.toLowerCase();
        s.text = (s.t ?? "").toLowerCase();
      }
      resolve({ pages, sections });
    };
    script.onerror = () => { index = null; reject(new Error("the index of the search cannot be loaded")); };
    document.head.append(script);
  });
  return index;
};

const wordsOf = (query) => query.toLowerCase().match(/[\p{L}\p{N}_.-]+/gu) ?? [];

const startsWord = (text, at) => at === 0 || !/[\p{L}\p{N}_]/u.test(text[at - 1]);

// count finds a word at the beginnings of words.
const count = (text, word) => {
  let n = 0;
  for (let at = text.indexOf(word); at >= 0 && n < 8; at = text.indexOf(word, at + word.length)) {
    if (startsWord(text, at)) n++;
  }
  return n;
};

// score is 0 unless a section has all words. Headings count more than text.
const score = (s, title, words) => {
  let sum = 0;
  for (const w of words) {
    const inTitle = count(title, w), inHeading = count(s.heading, w), inText = count(s.text, w);
    if (inTitle + inHeading + inText === 0) return 0;
    sum += Math.min(inTitle, 1) * 4 + Math.min(inHeading, 1) * 10 + Math.min(inText, 4);
    if (s.heading === w || s.heading.endsWith(" " + w)) sum += 10;
  }
  return sum;
};

const find = ({ pages, sections }, words) =>
  sections
    .map((s) => ({ s, score: score(s, pages[s.p].t.toLowerCase(), words) }))
    .filter((f) => f.score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, 12);

// marked appends text with the words found in it.
const marked = (to, text, words) => {
  const low = text.toLowerCase();
  let done = 0;
  while (done < text.length) {
    let at = -1, length = 0;
    for (const w of words) {
      const i = low.indexOf(w, done);
      if (i >= 0 && (at < 0 || i < at)) { at = i; length = w.length; }
    }
    if (at < 0) break;
    const mark = document.createElement("mark");
    mark.textContent = text.slice(at, at + length);
    to.append(text.slice(done, at), mark);
    done = at + length;
  }
  to.append(text.slice(done));
};

const excerpt = (s, words) => {
  const text = s.t ?? "";
  const at = Math.max(0, Math.min(...words.map((w) => { const i = s.text.indexOf(w); return i < 0 ? Infinity : i; }), text.length) - 50);
  const start = at > 0 ? text.indexOf(" ", at) + 1 : 0;
  return (start > 0 ? "… " : "") + text.slice(start, start + 140) + (start + 140 < text.length ? " …" : "");
};

const show = (pages, found, words) => {
  selected = found.length > 0 ? 0 : -1;
  results.replaceChildren(...found.map(({ s }, i) => {
    const page = pages[s.p];
    const a = document.createElement("a");
    a.href = root + page.u + (s.a ? "#" + s.a : "");
    a.id = "result" + i;
    a.setAttribute("role", "option");
    a.setAttribute("aria-selected", String(i === selected));
    const title = document.createElement("b"), where = document.createElement("small"), text = document.createElement("small");
    marked(title, s.h, words);
    where.textContent = page.s + " › " + page.t;
    marked(text, excerpt(s, words), words);
    a.append(title, where, text);
    return a;
  }));
  if (found.length === 0) {
    const p = document.createElement("p");
    p.textContent = "Nothing has all these words.";
    results.append(p);
  }
  open(true);
};

const open = (yes) => {
  results.hidden = !yes;
  input.setAttribute("aria-expanded", String(yes));
  if (yes && selected >= 0) input.setAttribute("aria-activedescendant", "result" + selected);
  else input.removeAttribute("aria-activedescendant");
};

const search = async () => {
  const query = input.value;
  const words = wordsOf(query);
  if (words.length === 0) return open(false);
  try {
    const loaded = await load();
    if (input.value === query) show(loaded.pages, find(loaded, words), words);
  } catch (error) {
    const p = document.createElement("p");
    p.textContent = "The search does not work: " + error.message + ".";
    results.replaceChildren(p);
    open(true);
  }
};

const move = (by) => {
  const all = results.querySelectorAll("a");
  if (all.length === 0) return;
  selected = (selected + by + all.length) % all.length;
  all.forEach((a, i) => a.setAttribute("aria-selected", String(i === selected)));
  all[selected].scrollIntoView({ block: "nearest" });
  open(true);
};

input.addEventListener("focus", () => { load().catch(() => {}); });
input.addEventListener("input", search);
input.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") move(1);
  else if (event.key === "ArrowUp") move(-1);
  else if (event.key === "Escape") { open(false); input.blur(); }
  else return;
  event.preventDefault();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  results.querySelectorAll("a")[Math.max(selected, 0)]?.click();
});
results.addEventListener("click", () => { open(false); });
document.addEventListener("click", (event) => { if (!form.contains(event.target)) open(false); });
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
  event.preventDefault();
  input.focus();
});
