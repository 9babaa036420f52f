// The search itself: the state, its address and history, the request, and what becomes of it.

import { $, element } from "./dom.js";
import { drawFilters, scaleScore } from "./filters.js";
import { hideMessage, sentence, showMessage } from "./messages.js";
import { drawQueryPicture, pictureOf } from "./picture.js";
import { drawResults } from "./results.js";
import { Problem, ask, search } from "./server.js";
import { NOTHING, asksForSomething, countFilters, fromAddress, keyOf, toAddress, toQuery, withoutFilters } from "./state.js";
import * as viewer from "./viewer.js";
import { hideWelcome, remember } from "./welcome.js";
import { current, has, onLanguage, t } from "./words.js";

const RETRY_MS = 4000;
const SLOW_MS = 200;
const ANSWERS_KEPT = 30;
// What may be over by the next try: it is tried again while the page waits.
const PASSING = ["unreachable", "store_away", "busy"];

export let state = NOTHING;
let results = Promise.resolve(16); // how many a page of results has, once the server has said it
let answer = null; // what is shown: {key, address, hits, more, searched, took_ms, notes…}
let running = null;
let retry = null;
let onNothing = () => {};
const answers = new Map(); // of this visit, for the back button

/** Begin; `topK` is a promise. `nothing` is called when there is nothing to search for, and with
 * the problem when nothing is indexed. */
export function startSearch({ topK, nothing }) {
  results = topK;
  onNothing = nothing;
  history.scrollRestoration = "manual";
  $("#more").addEventListener("click", () => more({ focus: true }));
  onLanguage(() => answer && drawStatus());
}

/** Search for a changed state. A typed one takes the place of the typed one before it in the
 * history, so that the back button leads to what was meant, not through every letter. */
export function go(changes = {}, { typed = false } = {}) {
  // What stands in the fields counts, also where it was not searched for yet.
  const next = { ...state, ...fields(), ...changes };
  // What follows from the large view takes its place: back leads to the results it was opened from.
  const replace = (typed && history.state?.typed) || history.state?.viewing;
  const same = keyOf(next) === keyOf(state) && toAddress(next) === (location.search || "./");
  state = next;
  drawState();
  if (!typed) remember(state.q);
  if (same) {
    if (!typed) history.replaceState({ ...history.state, typed: false }, "");
    return answer || running ? undefined : run();
  }
  if (!history.state?.viewing) rememberPlace();
  const entry = { typed, picture: state.picture?.key ?? null };
  history[replace ? "replaceState" : "pushState"](entry, "", toAddress(state));
  return run();
}

const fields = () => ({ q: $("#query").value, without: $("#without").value });

/** Take up what the address says: at the start, and after the back button. */
export async function restore(entry) {
  stop();
  const given = fromAddress(location.search);
  given.picture = entry?.picture ? pictureOf(entry.picture) : null;
  const same = answer?.key === keyOf(given);
  state = given;
  drawState();
  if (!same) await run({ shown: entry?.shown, scroll: entry?.scroll ?? 0 });
  showLarge(new URLSearchParams(location.search).get("show"));
}

/** Open a result large; the back button closes it. */
export function open(hit) {
  rememberPlace();
  history.pushState({ ...history.state, viewing: true }, "", toAddress(state, { show: hit.id }));
  showLarge(hit.id);
}

/** Open any indexed picture large, where the visitor is. */
export function openById(id) {
  const address = new URLSearchParams(location.search);
  address.set("show", id);
  history.pushState({ ...history.state, viewing: true }, "", `?${address}`);
  showLarge(id);
}

/** The result before or after the one that is shown large. */
export async function step(by) {
  const at = indexOf(viewer.shownId());
  if (at < 0 || inLibrary()) return;
  const index = at + by;
  if (index >= answer.hits.length && answer.more) await more();
  const hit = answer.hits[index];
  if (!hit) return;
  history.replaceState(history.state, "", toAddress(state, { show: hit.id }));
  showLarge(hit.id);
}

/** After the large view was closed: back in the grid, on the card of what was shown. */
export function closed(hit) {
  focusCard(hit.id);
  if (history.state?.viewing) history.back();
  else {
    const address = new URLSearchParams(location.search);
    address.delete("show");
    history.replaceState(history.state, "", address.size ? `?${address}` : "./");
  }
}

export function similarTo(hit) {
  viewer.hide();
  const { categories, libraries, minScore, after, before } = state;
  go({ ...NOTHING, categories, libraries, minScore, after, before, refine: [{ kind: "like", id: hit.id }] });
}

export function refine(kind, hit) {
  viewer.hide();
  go({ refine: [...state.refine.filter(({ id }) => id !== hit.id), { kind, id: hit.id }] });
}

const inLibrary = () => new URLSearchParams(location.search).has("view");
const indexOf = (id) => answer?.hits.findIndex((hit) => hit.id === id) ?? -1;

const focusCard = (id) => $(`#results li[data-id="${id}"] .card`)?.focus();

/** Show a picture large, or none. */
export async function showLarge(id) {
  if (!/^\d+$/.test(id ?? "")) return viewer.hide();
  const index = inLibrary() ? -1 : indexOf(id);
  if (index >= 0) {
    return viewer.show(answer.hits[index], { index, count: answer.hits.length, more: answer.more });
  }
  // A link to a picture that is not among the first results, or one of the library view.
  const found = await ask(`api/images/${id}`).catch(() => null);
  const still = new URLSearchParams(location.search).get("show") === id;
  return found && still ? viewer.show(found, { index: 0, count: 1, more: false }) : undefined;
}

/** Note in the history where the visitor is, before leaving it. */
export function rememberPlace() {
  const shown = answer?.hits.length ?? 0;
  history.replaceState({ ...history.state, shown, scroll: window.scrollY }, "");
}

/** Give up what is being asked, and what would be asked again. */
function stop() {
  running?.abort();
  running = null;
  clearTimeout(retry);
  $("#found").removeAttribute("aria-busy");
}

async function run({ shown = 0, scroll = null } = {}) {
  stop();
  if (!asksForSomething(state)) {
    clear();
    if (state.without.trim()) showMessage("only_without");
    else onNothing();
    return;
  }
  hideWelcome();
  const key = keyOf(state);
  const kept = answers.get(key);
  if (kept && scroll !== null) {
    accept(kept);
  } else {
    const address = toAddress(state);
    const found = await request({ least: shown });
    if (!found) return;
    accept({ ...found, key, address });
  }
  window.scrollTo(0, scroll ?? 0);
}

/** The answer, or null when another search came between or a problem is shown. */
async function request({ least = 0, offset = 0, onFail = fail }) {
  const asked = new AbortController();
  running = asked;
  const found = $("#found");
  const slow = setTimeout(() => found.setAttribute("aria-busy", "true"), SLOW_MS);
  const { picture } = state;
  try {
    const query = toQuery(state, { topK: Math.min(Math.max(least, await results), 1000), offset });
    const got = await search(query, picture, asked.signal);
    return running === asked ? got : null;
  } catch (error) {
    if (error.name !== "AbortError" && running === asked) onFail(error);
    return null;
  } finally {
    clearTimeout(slow);
    if (running === asked) {
      running = null;
      found.removeAttribute("aria-busy");
    }
  }
}

function accept(got) {
  answer = got;
  answers.delete(got.key);
  answers.set(got.key, got);
  if (answers.size > ANSWERS_KEPT) answers.delete(answers.keys().next().value);
  hideMessage();
  draw();
  if (state.minScore === null && got.hits.length) scaleScore(got.hits[0].score);
  if (!got.hits.length) explainNothing(got);
}

async function more({ focus = false } = {}) {
  // While another search is on its way, what is shown is not what is asked for any more.
  if (running || answer?.key !== keyOf(state)) return;
  const before = answer;
  $("#more").disabled = true;
  const again = () => more({ focus });
  // What is shown stays; only what comes after it is missing.
  const onFail = (error) => tell(error, [{ key: "again", run: again }]);
  const found = await request({ offset: before.hits.length, onFail });
  $("#more").disabled = false;
  if (!found || answer !== before) return;
  hideMessage();
  const known = new Set(before.hits.map(({ id }) => id));
  const added = found.hits.filter(({ id }) => !known.has(id));
  answer = { ...before, hits: [...before.hits, ...added], more: found.more && added.length > 0 };
  answers.set(answer.key, answer);
  const first = draw({ append: true });
  if (focus) first?.focus({ preventScroll: true });
}

function draw({ append = false } = {}) {
  $("#results").dataset.of = answer.address;
  const addressOf = (hit) => toAddress(state, { show: hit.id });
  const first = drawResults(answer.hits, { append, addressOf, onOpen: open, onSimilar: similarTo });
  $("#more").hidden = !answer.more;
  drawStatus();
  return first;
}

function drawStatus() {
  const { hits, searched, took_ms: took, notes, note_kinds: kinds } = answer;
  const values = { count: hits.length, searched, ms: Math.round(took) };
  $("#status").textContent = hits.length
    ? t(countFilters(state) ? "status.filtered" : "status", values)
    : "";
  const shown = hits.length ? notes.map((text, n) => noteText(kinds[n], text)) : [];
  if (location.search !== "" && state.picture) shown.push(t("note.picture_not_in_link"));
  $("#notes").replaceChildren(...shown.map((text) => element("li", {}, text)));
}

const noteText = (kind, text) =>
  current() !== "en" && has(`note.${kind}`) ? t(`note.${kind}`) : sentence(text);

function explainNothing({ notes, note_kinds: kinds }) {
  const kind = kinds.find((one) => one === "below_score" || one === "filtered") ?? "nothing_found";
  const reset = { key: "filters.clear_all", run: () => go(withoutFilters(state)) };
  const lower = { key: "filters.any_score", run: () => go({ minScore: null }) };
  const actions = { below_score: [lower], filtered: [reset] }[kind] ?? [];
  showMessage(kind, { detail: notes[kinds.indexOf(kind)] ?? "", actions });
}

/** A search that failed: say why in place of the results, and try again where that may help. */
function fail(error) {
  clear();
  if (error.kind === "nothing_indexed") return onNothing(error);
  const passing = PASSING.includes(error.kind);
  const drop = { key: "picture.remove", run: () => go({ picture: null, refine: [] }) };
  const gone = error.kind === "image_gone" ? [drop] : [];
  tell(error, passing ? [{ key: "again", run: () => run() }] : gone);
  if (passing) retry = setTimeout(run, RETRY_MS);
  return undefined;
}

/** What was found may not be shown any more. */
export function forget() {
  stop();
  clear();
  answers.clear();
  hideWelcome();
  showMessage("signed_out");
}

function tell(error, actions) {
  if (!(error instanceof Problem)) throw error;
  showMessage(error.kind, { detail: error.message, actions });
}

function clear() {
  answer = null;
  $("#results").replaceChildren();
  delete $("#results").dataset.of;
  $("#notes").replaceChildren();
  $("#status").textContent = "";
  $("#more").hidden = true;
  hideMessage();
}

/** Bring every field of the form to the state. */
function drawState() {
  if ($("#query").value.trim() !== state.q.trim()) $("#query").value = state.q;
  if ($("#without").value.trim() !== state.without.trim()) $("#without").value = state.without;
  $("#balance").value = state.balance;
  $("#balance-field").hidden = !(state.picture && state.q.trim());
  drawQueryPicture(state.picture);
  drawFilters(state);
  drawRefinements();
}

function drawRefinements() {
  const list = $("#refinements");
  list.hidden = !state.refine.length;
  list.replaceChildren(
    ...state.refine.map(({ kind, id }) => {
      const remove = () => go({ refine: state.refine.filter((one) => one.id !== id) });
      const label = t(`refine.${kind}.remove`);
      return element(
        "li",
        { class: kind },
        element("img", { src: `media/${id}/thumbnail`, alt: "", width: 40, height: 40 }),
        element("span", { "data-i18n": `refine.${kind}` }, t(`refine.${kind}`)),
        element("button", { type: "button", class: "remove", "data-i18n-label": `refine.${kind}.remove`, "aria-label": label, onclick: remove }, "×"),
      );
    }),
  );
}

/** Search again for what is shown: the index has changed, or the store is back. */
export function repeat() {
  answers.clear();
  return run({ shown: answer?.hits.length, scroll: window.scrollY });
}

