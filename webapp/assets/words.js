// The page's texts in the visitor's language. A table for each language is in webapp/i18n/.

import { $$ } from "./dom.js";

export const LANGUAGES = ["en", "zh-CN"];
const KEPT = "language";
const watchers = [];
let table = {};
let language = "en";

/** The language that was chosen here before, or the browser's first that there is a table for. */
export function preferred() {
  const chosen = localStorage.getItem(KEPT);
  if (LANGUAGES.includes(chosen)) return chosen;
  for (const wanted of navigator.languages ?? [navigator.language]) {
    const match = LANGUAGES.find((one) => one.split("-")[0] === wanted.toLowerCase().split("-")[0]);
    if (match) return match;
  }
  return "en";
}

export const current = () => language;

/** How numbers and dates are written: as the visitor's country does where its language is shown. */
export const locale = () =>
  navigator.languages.find((one) => one.split("-")[0] === language.split("-")[0]) ?? language;

/** Switch to a language, and put every marked text on the page into it. */
export async function use(wanted, { keep = false } = {}) {
  const answer = await fetch(`page/files/${wanted}.json`);
  if (answer.status === 401) return location.reload(); // the session ended: sign in
  if (!answer.ok) return; // the frame's own English stays
  table = await answer.json();
  language = wanted;
  if (keep) localStorage.setItem(KEPT, wanted);
  document.documentElement.lang = wanted;
  document.title = t("title");
  translate(document);
  watchers.forEach((watcher) => watcher());
}

/** Call when the language has changed, for texts that scripts have written. */
export const onLanguage = (watcher) => watchers.push(watcher);

/** The text of a key, with {name} replaced by values; a number picks key.one where there is one. */
export function t(key, values = {}) {
  const one = values.count === 1 ? table[`${key}.one`] : undefined;
  const text = one ?? table[key];
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? value.toLocaleString(locale()) : (value ?? "");
  });
}

export const has = (key) => key in table;

/** Put the marked texts below an element into the language. */
export function translate(root) {
  for (const node of $$("[data-i18n]", root)) node.textContent = t(node.dataset.i18n);
  for (const [mark, attribute] of [
    ["i18nPlaceholder", "placeholder"],
    ["i18nLabel", "aria-label"],
    ["i18nAlt", "alt"],
  ]) {
    const selector = `[data-${mark.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}]`;
    for (const node of $$(selector, root)) {
      node.setAttribute(attribute, t(node.dataset[mark]));
      if (attribute === "aria-label" && node.matches("button.icon")) node.title = t(node.dataset[mark]);
    }
  }
}
