// The panel that narrows a search: categories, libraries, score, dates.

import { $, $$, element } from "./dom.js";
import { nameOf } from "./results.js";
import { countFilters } from "./state.js";
import { locale, onLanguage, t } from "./words.js";

// From here on a list has a field to find something in it.
const MANY = 12;
const PAUSE_MS = 200;

let library = { categories: [], libraries: [] };
let state = null;
let changed = () => {};

/** Wire the panel; `onChange` gets the parts of the state that were changed. */
export function startFilters(onChange) {
  changed = onChange;
  $("#show-filters").addEventListener("click", () => toggle($("#filters").hidden));
  $("#clear-filters").addEventListener("click", () =>
    changed({ categories: [], libraries: [], minScore: null, after: "", before: "" }),
  );
  let pause;
  $("#min-score").addEventListener("input", (event) => {
    const value = Number(event.target.value);
    drawScore(value);
    clearTimeout(pause);
    pause = setTimeout(() => changed({ minScore: value > 0 ? value : null }), PAUSE_MS);
  });
  for (const name of ["after", "before"]) {
    $(`#${name}`).addEventListener("change", (event) => changed({ [name]: event.target.value }));
  }
  $("#find-category").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const item of $$("#filter-categories li")) {
      item.hidden = !item.textContent.toLowerCase().includes(wanted);
    }
  });
  onLanguage(() => state && drawFilters(state));
}

export function toggle(open) {
  $("#filters").hidden = !open;
  $("#show-filters").setAttribute("aria-expanded", String(open));
  $("#below").classList.toggle("with-filters", open);
}

/** What can be chosen: categories and libraries with their counts. */
export function offer(facts) {
  library = facts;
  if (state) drawFilters(state);
}

/** Show a state's filters in the panel. */
export function drawFilters(wanted) {
  state = wanted;
  const count = countFilters(state);
  const badge = $("#show-filters .badge");
  badge.hidden = !count;
  badge.textContent = count;
  $("#clear-filters").disabled = !count;
  drawChoices("#filter-categories", "categories", withChosen(library.categories.map(({ name, count }) => [name, count]), state.categories), (name) => name || t("no_category"));
  const libraries = withChosen(library.libraries.map(({ path, count }) => [path, count]), state.libraries);
  drawChoices("#filter-libraries", "libraries", libraries, nameOf);
  $("#filter-libraries").hidden = libraries.length < 2 && !state.libraries.length;
  $("#find-category").hidden = library.categories.length <= MANY;
  $("#after").value = state.after;
  $("#before").value = state.before;
  $("#min-score").value = state.minScore ?? 0;
  drawScore(state.minScore ?? 0);
}

/** The slider ends a little above the best score: models differ in what scores they give. */
export function scaleScore(best) {
  const slider = $("#min-score");
  slider.max = Math.max(0.1, Math.ceil((best + 0.02) * 100) / 100, state?.minScore ?? 0).toFixed(2);
  slider.value = state?.minScore ?? 0;
}

// What an address asks for stays visible, so that it can be taken away, though it is not indexed.
const withChosen = (offered, chosen) => [
  ...offered,
  ...chosen.filter((name) => !offered.some(([one]) => one === name)).map((name) => [name, 0]),
];

function drawScore(value) {
  $("#min-score + output").textContent = value > 0 ? value.toFixed(2) : t("filters.any");
}

function drawChoices(selector, part, offered, label) {
  const list = $(`${selector} ul`);
  const focused = list.contains(document.activeElement) ? document.activeElement.value : null;
  list.replaceChildren(
    ...offered.map(([name, count]) => {
      const box = element("input", { type: "checkbox", value: name });
      box.checked = state[part].includes(name);
      box.addEventListener("change", () => {
        const others = state[part].filter((one) => one !== name);
        changed({ [part]: box.checked ? [...others, name] : others });
      });
      return element("li", {}, element("label", { title: name }, box, element("span", { class: "name" }, label(name)), element("span", { class: "count" }, count.toLocaleString(locale()))));
    }),
  );
  if (focused !== null) $$("input", list).find((box) => box.value === focused)?.focus();
}
