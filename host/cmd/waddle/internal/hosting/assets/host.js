// The server draws the page. This only asks for it again and puts the new figures in the
// place of the old ones. Nothing happens while somebody uses what would be replaced.

const figures = document.getElementById("figures");
const live = document.getElementById("live");
const every = Number(figures.dataset.every) * 1000;

const inUse = () => document.hidden || (figures.contains(document.activeElement) && document.activeElement !== document.body);

async function refresh() {
  if (inUse()) return;
  try {
    const answer = await fetch(location.href, { redirect: "error" });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("figures");
    if (!fresh || inUse()) return;
    figures.replaceChildren(...fresh.childNodes);
    live.replaceChildren(...page.getElementById("live").childNodes);
  } catch {
    live.textContent = "No answer; these figures are old. Load the page again.";
  }
}

setInterval(refresh, every);
