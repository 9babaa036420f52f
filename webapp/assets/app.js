// The page's beginning: waits for the frame, wires its parts, and takes up what the address says.

import { $, appears } from "./dom.js";
import { offer, startFilters, toggle } from "./filters.js";
import { forgetLibrary } from "./library.js";
import { startLook } from "./look.js";
import { showMessage } from "./messages.js";
import { startPictures } from "./picture.js";
import { moveWithKeys } from "./results.js";
import * as search from "./search.js";
import { ask } from "./server.js";
import { drawSignedIn, startSignedIn } from "./signed_in.js";
import { asksForSomething, countFilters } from "./state.js";
import { showTab, startTabs } from "./tabs.js";
import * as viewer from "./viewer.js";
import { showWelcome, startWelcome } from "./welcome.js";
import * as words from "./words.js";

const TYPING_PAUSE_MS = 300;
const LOOK_AGAIN_MS = 2000;
const AS_TYPED = "as-typed";

let start = { top_k: 16, max_upload_bytes: 20_000_000, images: 0, model: "ready", problem: null };
let facts = null;
let known = null; // a promise: the server has said what there is
let looking = null;

async function main() {
  const language = words.use(words.preferred());
  known = learn();
  await appears("#viewer"); // the last of the frame
  await language;
  startLook();
  startSignedIn({ ended });
  viewer.startViewer({
    similar: inSearch(search.similarTo),
    more: inSearch((hit) => search.refine("more", hit)),
    less: inSearch((hit) => search.refine("less", hit)),
    step: search.step,
    closed: search.closed,
  });
  startPictures({
    onPicture: inSearch((picture) => search.go({ picture })),
    onIndexed: (id) => search.similarTo({ id }),
    onRemove: () => search.go({ picture: null }),
    onRefused: inSearch((reason) => showMessage(reason)),
    maxBytes: () => start.max_upload_bytes,
  });
  startFilters((changes) => search.go(changes));
  startWelcome((q) => search.go({ q }));
  moveWithKeys();
  startForm();
  startTabs({
    onSearch: () => search.restore(history.state),
    onLeave: search.rememberPlace,
    open: search.openById,
    search: inSearch(search.go),
    indexed: refresh,
  });
  words.translate(document);
  search.startSearch({ topK: known.then(() => start.top_k), nothing: nothingToSearch });
  window.addEventListener("popstate", (event) => arrive(event.state));
  // Before anything can be typed: the address fills the fields.
  arrive(history.state);
  $("#query").focus({ preventScroll: true });
  document.body.dataset.ready = "true";

  const wide = window.matchMedia("(min-width: 1000px)").matches;
  if (wide && countFilters(search.state)) toggle(true);
  await known;
  drawSignedIn(start.user);
  if (start.images) loadFacts();
  watchModel();
}

/** The same, in the view of the search. */
const inSearch = (act) => (...given) => {
  viewer.hide();
  showTab("search");
  return act(...given);
};

/** The session is over: nothing stays in view. */
function ended() {
  viewer.hide();
  drawSignedIn(null);
  forgetLibrary();
  search.forget();
}

/** What the server says for the start; the page works with its own values until it answers. */
async function learn() {
  try {
    start = await ask("page/start");
  } catch (problem) {
    start.problem = { kind: problem.kind, error: problem.message };
  }
  return start;
}

async function arrive(entry) {
  const view = new URLSearchParams(location.search).get("view");
  showTab(view === "library" ? "library" : "search");
  if (view === "library") await search.showLarge(new URLSearchParams(location.search).get("show"));
  else await search.restore(entry);
}

/** Categories with their counts take a moment in a large collection; searching does not wait. */
async function loadFacts() {
  try {
    facts = await ask("api/library");
  } catch {
    return; // no examples and no choices then; searching says what is the matter
  }
  offer(facts);
  if (!$("#welcome").hidden) showWelcome(facts);
}

/** Nothing is searched for, or nothing can be: say what there is. */
async function nothingToSearch(problem = null) {
  await known;
  if (problem) start = { ...start, images: 0, problem: { error: problem.message, kind: problem.kind } };
  else if (asksForSomething(search.state)) return; // something was typed meanwhile
  if (start.images) {
    showWelcome(facts ?? { images: start.images, categories: [] });
    return;
  }
  const { kind, error } = start.problem ?? { kind: "nothing_indexed", error: "" };
  const empty = kind === "nothing_indexed";
  const commands = empty ? ["index-folder /path/to/your/photos"] : [];
  showMessage(kind, { detail: empty ? "" : error, commands });
  clearTimeout(looking);
  looking = setTimeout(lookAgain, LOOK_AGAIN_MS);
}

async function lookAgain() {
  const before = JSON.stringify(start);
  await learn();
  const { hidden, dataset } = $("#message");
  if (hidden || !["nothing_indexed", "store_away", "unreachable"].includes(dataset.kind)) return;
  if (JSON.stringify(start) !== before) await refresh();
  else looking = setTimeout(lookAgain, LOOK_AGAIN_MS);
}

/** After something was indexed. */
async function refresh() {
  facts = null;
  await learn();
  await search.repeat();
  if (start.images) await loadFacts();
}

/** The page is there before the model is: say so until both are. */
async function watchModel() {
  const banner = $("#banner");
  while (["not_yet", "loading"].includes(start.model) && start.images && start.problem?.kind !== "signed_out") {
    banner.dataset.i18n = "state.loading";
    banner.textContent = words.t("state.loading");
    banner.hidden = false;
    await new Promise((resolve) => setTimeout(resolve, 500));
    await learn();
  }
  banner.hidden = true;
}

function startForm() {
  const query = $("#query");
  const asTyped = $("#as-typed");
  asTyped.checked = localStorage.getItem(AS_TYPED) !== "false";
  asTyped.addEventListener("change", () => localStorage.setItem(AS_TYPED, asTyped.checked));
  let pause;
  const typed = (event) => {
    clearTimeout(pause);
    // Between the keys of an input method there is no word yet.
    if (asTyped.checked && !event.isComposing) {
      pause = setTimeout(() => search.go({}, { typed: true }), TYPING_PAUSE_MS);
    }
  };
  for (const field of [query, $("#without")]) {
    field.addEventListener("input", typed);
    field.addEventListener("compositionend", typed);
  }
  $("#search").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(pause);
    if (query.value.trim() || search.state.picture || search.state.refine.length) search.go();
    else if ($("#without").value.trim()) search.go();
    else query.focus();
  });
  $("#balance").addEventListener("change", (event) => search.go({ balance: Number(event.target.value) }));
  document.addEventListener("keydown", (event) => {
    // "/" leads to the search box from anywhere, as on many pages.
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || typing || viewer.isOpen() || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    $("#tab-search").click();
    query.focus({ preventScroll: true });
    query.select();
  });
}

main();
