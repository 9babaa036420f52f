// Before the first search: how many pictures there are, examples to try, and the last queries.

import { $, element } from "./dom.js";
import { ask } from "./server.js";
import { onLanguage, t } from "./words.js";

const EXAMPLES = 8;
const RECENT = 6;
const KEPT = "recent";

let facts = null;
let go = () => {};

/** `onQuery` gets the words of an example or of an earlier query. */
export function startWelcome(onQuery) {
  go = onQuery;
  onLanguage(() => facts && !$("#welcome").hidden && draw());
}

export function showWelcome(library) {
  facts = library;
  draw();
  $("#welcome").hidden = false;
}

export function hideWelcome() {
  $("#welcome").hidden = true;
}

/** Queries of this visit, the last one first. */
const recent = () => JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");

export function remember(text) {
  const words = text.trim();
  if (!words) return;
  const all = [words, ...recent().filter((one) => one !== words)].slice(0, RECENT);
  sessionStorage.setItem(KEPT, JSON.stringify(all));
}

/** A folder's name as one would say it: "red_apples-2" → "red apples 2". */
const spoken = (name) => name.replace(/[_\-.+]+/g, " ").replace(/\s+/g, " ").trim();

function draw() {
  const examples = facts.categories.filter(({ name }) => /\p{L}{2}/u.test(name)).slice(0, EXAMPLES);
  $("#welcome").replaceChildren(
    element("h2", {}, t("welcome.ready", { count: facts.images })),
    element("p", {}, t("welcome.how")),
    group("welcome.recent", "chips", recent().map(chip)),
    group("welcome.examples", "tiles", examples.map(tile)),
  );
}

function group(key, kind, items) {
  if (!items.length) return "";
  return element("section", {}, element("h3", {}, t(key)), element("ul", { class: kind }, ...items));
}

function chip(text) {
  return element("li", {}, element("button", { type: "button", onclick: () => go(text) }, text));
}

function tile({ name }) {
  const picture = element("img", { alt: "", width: 160, height: 160, decoding: "async" });
  // One picture of it, which tells more than its name; without one the name alone will do.
  ask(`api/library/montage?category=${encodeURIComponent(name)}&count=1`)
    .then(({ pictures: [first] }) => first && (picture.src = first.thumbnail_url))
    .catch(() => {});
  const words = spoken(name);
  return element("li", {}, element("button", { type: "button", onclick: () => go(words) }, picture, element("span", {}, words)));
}
