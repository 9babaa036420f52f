// The library view: what is indexed, of what kinds, how it lies together, and indexing more of it.

import { $, element } from "./dom.js";
import { helps, sentence } from "./messages.js";
import { drawIndexing } from "./indexing.js";
import { drawMap } from "./map.js";
import { drawMontages } from "./montage.js";
import { nameOf } from "./results.js";
import { Problem, ask } from "./server.js";
import { NOTHING, toAddress } from "./state.js";
import { bytes } from "./viewer.js";
import { current, has, locale, onLanguage, t } from "./words.js";

const BARS = 15;
const STALE_MS = 3000;

let drawn = null; // the facts that are shown
let actions = {};

/** `actions`: open (id), search (changes of an empty state), indexed (). */
export function startLibrary(given) {
  actions = given;
  onLanguage(() => drawn && !$("#library-view").hidden && draw(drawn));
}

/** Fetch what is indexed, and show it. */
export async function showLibrary() {
  const view = $("#library-view");
  if (!view.children.length) view.replaceChildren(element("p", { role: "status" }, t("library.reading")));
  try {
    const facts = await ask("api/library");
    if (JSON.stringify(facts) !== JSON.stringify(drawn)) draw(facts);
    // Newer counts are being read; what there is can be shown meanwhile.
    if (facts.stale) setTimeout(() => !view.hidden && showLibrary(), STALE_MS);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    drawn = null;
    await drawProblem(problem);
  }
}

/** What was shown may not be shown any more. */
export const forgetLibrary = () => drawProblem(new Problem("signed_out", ""));

async function drawProblem({ kind, message }) {
  const known = has(`state.${kind}.title`) ? kind : "failed";
  const text = current() === "en" && message ? sentence(message) : t(`state.${known}.text`);
  const box = element("div", { class: "problem" }, element("h2", {}, t(`state.${known}.title`)), element("p", {}, text), ...helps(kind).map(({ key, run }) => element("button", { type: "button", onclick: run }, t(key))));
  const indexing = element("section", { id: "indexing" });
  $("#library-view").replaceChildren(box, indexing);
  if (kind === "nothing_indexed") await drawIndexing(indexing, indexed);
}

const indexed = () => {
  actions.indexed();
  return showLibrary();
};

function draw(facts) {
  drawn = facts;
  const montages = element("section", { id: "montages" });
  const map = element("section", { id: "map" });
  const indexing = element("section", { id: "indexing" });
  $("#library-view").replaceChildren(
    summary(facts),
    advice(facts),
    chart(facts),
    element("div", {}, libraries(facts), indexing),
    montages,
    map,
  );
  drawMontages(montages, facts.categories, actions);
  drawMap(map, facts.categories, actions);
  if (facts.indexing.allowed) drawIndexing(indexing, indexed);
  else indexing.hidden = true;
}

function summary(facts) {
  const day = (text) => new Date(text).toLocaleDateString(locale(), { dateStyle: "medium" });
  const numbers = [
    ["library.pictures", facts.images.toLocaleString(locale())],
    ["library.size", bytes(facts.bytes)],
    ["library.categories", facts.categories.length.toLocaleString(locale())],
    ["library.dates", facts.oldest ? [...new Set([day(facts.oldest), day(facts.newest)])].join(" – ") : ""],
    ["library.model", `${facts.model.name} · ${facts.model.dim}`],
    ["library.index", `${facts.index_type} · ${facts.metric_type}`],
  ];
  const items = numbers.filter(([, value]) => value).map(([key, value]) =>
    element("div", {}, element("dt", {}, t(key)), element("dd", {}, value)),
  );
  return element("dl", { id: "summary" }, ...items);
}

/** What to do where a file has grown past what it searches quickly. */
function advice({ move_to_server: command }) {
  if (!command) return "";
  return element("p", { id: "move-to-server" }, `${t("library.move_to_server")} `, element("code", {}, command));
}

/** Counts by category as bars; each leads to a search in it. */
function chart({ categories }) {
  const most = Math.max(...categories.map(({ count }) => count), 1);
  const rows = categories.map(({ name, count }, n) => {
    const label = name || t("no_category");
    const state = { ...NOTHING, q: name, categories: [name] };
    const link = element("a", { href: toAddress(state) }, label);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      actions.search(state);
    });
    const bar = element("span", { class: "bar", style: `--share: ${count / most}` });
    const number = element("span", { class: "count" }, count.toLocaleString(locale()));
    return element("li", { hidden: n >= BARS }, name ? link : element("span", {}, label), bar, number);
  });
  const list = element("ol", { class: "bars" }, ...rows);
  const rest = element("button", { type: "button", class: "quiet" }, t("library.all", { count: rows.length }));
  rest.addEventListener("click", () => {
    rows.forEach((row) => (row.hidden = false));
    rest.remove();
  });
  return element("section", { id: "categories" }, element("h2", {}, t("library.by_category")), list, rows.length > BARS ? rest : null);
}

function libraries(facts) {
  const entries = facts.libraries.map(({ path, count, last_run: run }) =>
    element(
      "article",
      {},
      element("h3", {}, nameOf(path)),
      element("p", { class: "path" }, path),
      element("p", {}, t("library.holds", { count })),
      ...(run ? lastRun(run) : []),
    ),
  );
  return element("section", { id: "libraries" }, element("h2", {}, t("library.libraries")), ...entries);
}

function lastRun(run) {
  const when = new Date(run.finished_at).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "short" });
  const did = ["added", "updated", "moved", "removed", "unchanged"]
    .filter((what) => run[what])
    .map((what) => t(`run.${what}`, { count: run[what] }));
  const line = t(run.interrupted ? "run.stopped" : "run.finished", { when, seconds: Number(run.seconds.toFixed(1)) });
  const parts = [element("p", {}, [line, ...did].join(" · "))];
  if (run.skipped_count) {
    const items = run.skipped.map(({ path, reason }) => element("li", {}, element("span", { class: "path" }, path), ` ${reason}`));
    const left = run.skipped_count - run.skipped.length;
    if (left > 0) items.push(element("li", {}, t("run.more_skipped", { count: left })));
    parts.push(
      element("details", {}, element("summary", {}, t("run.skipped", { count: run.skipped_count })), element("ul", {}, ...items)),
    );
  }
  return parts;
}
