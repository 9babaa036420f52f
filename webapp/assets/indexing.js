// Indexing a folder from the page, where whoever runs the server allows it.

import { element } from "./dom.js";
import { sentence } from "./messages.js";
import { ask } from "./server.js";
import { t } from "./words.js";

const LOOK_MS = 700;
const paths = ({ folders }) => folders.map(({ path }) => path);
let watching = 0;

/** Show the panel in a section, or nothing where indexing is not allowed. */
export async function drawIndexing(section, onDone) {
  let offered;
  let state;
  try {
    offered = paths(await ask("api/index/folders"));
    state = await ask("api/index");
  } catch {
    section.hidden = true;
    return;
  }
  section.hidden = !offered.length;
  if (!offered.length) return;
  const list = element("datalist", { id: "folders" });
  const folder = element("input", { type: "text", id: "folder", list: "folders", value: offered[0], autocomplete: "off", spellcheck: "false" });
  const go = element("button", { type: "submit" }, t("indexing.go"));
  const stop = element("button", { type: "button", hidden: true }, t("indexing.stop"));
  const bar = element("progress", { "aria-label": t("indexing.title"), hidden: true });
  const said = element("p", { role: "status" });
  const form = element("form", {}, element("label", { for: "folder" }, t("indexing.folder")), folder, list, go, stop);
  section.replaceChildren(element("h2", {}, t("indexing.title")), form, bar, said);

  const offer = async () => {
    const below = folder.value.replace(/[\\/]+$/, "");
    const found = await ask(`api/index/folders?below=${encodeURIComponent(below)}`).then(paths, () => []);
    list.replaceChildren(...[...new Set([...offered, ...found])].map((path) => element("option", { value: path })));
  };
  offer();
  folder.addEventListener("change", offer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    said.textContent = "";
    try {
      const headers = { "Content-Type": "application/json", Accept: "application/json" };
      await ask("api/index", { method: "POST", headers, body: JSON.stringify({ folder: folder.value }) });
      watch();
    } catch (problem) {
      said.textContent = sentence(problem.message) || t("state.unreachable.title");
    }
  });
  stop.addEventListener("click", () => ask("api/index", { method: "DELETE" }).catch(() => {}));

  function draw(now) {
    const running = now.state === "running";
    go.disabled = running;
    stop.hidden = !running;
    bar.hidden = !running;
    if (now.total) {
      bar.max = now.total;
      bar.value = now.done;
    } else bar.removeAttribute("value");
    if (running) said.textContent = t("indexing.running", { done: now.done, total: now.total, folder: now.folder });
    else if (now.state === "failed") said.textContent = sentence(now.error);
    else if (now.report) said.textContent = summary(now);
  }

  async function watch() {
    const mine = ++watching; // a panel that was drawn anew goes on instead
    for (;;) {
      const now = await ask("api/index").catch(() => null);
      if (mine !== watching || !section.isConnected) return;
      if (now) draw(now);
      if (now && now.state !== "running") return onDone();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
  draw(state);
  if (state.state === "running") watch();
}

function summary({ state, report }) {
  const did = ["added", "updated", "moved", "removed", "unchanged"]
    .filter((what) => report[what])
    .map((what) => t(`run.${what}`, { count: report[what] }));
  const skipped = report.skipped_count ?? report.skipped?.length;
  if (skipped) did.push(t("run.skipped", { count: skipped }));
  return [t(`indexing.${state}`), ...did].join(" · ");
}
