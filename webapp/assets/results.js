// The grid of results.

import { $, $$, element } from "./dom.js";
import { onLanguage, t } from "./words.js";

export const nameOf = (path) => path.split(/[\\/]/).pop();
// A picture at the root of its library has no category; its folder's name says most.
export const titleOf = (hit) => hit.category || hit.path.split(/[\\/]/).at(-2) || nameOf(hit.path);
export const describe = (hit) => hit.caption || `${titleOf(hit)}: ${nameOf(hit.path)}`;

/** Show results in place of those that were there, or after them. */
export function drawResults(hits, { append = false, addressOf, onOpen, onSimilar }) {
  const grid = $("#results");
  const before = append ? grid.children.length : 0;
  const cards = hits.slice(before).map((hit, n) => card(hit, before + n, { addressOf, onOpen, onSimilar }));
  if (append) grid.append(...cards);
  else grid.replaceChildren(...cards);
  return cards[0]?.querySelector("a");
}

function card(hit, index, { addressOf, onOpen, onSimilar }) {
  const picture = element("img", {
    src: hit.thumbnail_url,
    alt: describe(hit),
    width: hit.width,
    height: hit.height,
    loading: index < 8 ? "eager" : "lazy",
    decoding: "async",
  });
  const item = element("li", { "data-id": hit.id });
  picture.addEventListener("error", () => item.classList.add("is-gone"));
  const copies = hit.copies.length ? ` +${hit.copies.length}` : "";
  const link = element(
    "a",
    { class: "card", href: addressOf(hit), title: hit.path },
    picture,
    element("span", { class: "gone" }, t("gone.short")),
    element(
      "span",
      { class: "caption" },
      element("span", { class: "category" }, titleOf(hit) + copies),
      element("span", { class: "score", title: t("score.title") }, hit.score.toFixed(3)),
    ),
    hit.caption ? element("span", { class: "text" }, hit.caption) : null,
  );
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return; // a tab of its own
    event.preventDefault();
    onOpen(hit);
  });
  const similar = element(
    "button",
    { type: "button", class: "similar", "data-i18n-label": "viewer.similar", "aria-label": t("viewer.similar"), title: t("viewer.similar") },
    "≈",
  );
  similar.addEventListener("click", () => onSimilar(hit));
  item.append(link, similar);
  return item;
}

onLanguage(() => {
  for (const node of $$("#results .gone")) node.textContent = t("gone.short");
});

/** Arrow keys go from card to card, up and down by rows. */
export function moveWithKeys() {
  const grid = $("#results");
  grid.addEventListener("keydown", (event) => {
    const cards = $$(".card", grid);
    const at = cards.indexOf(document.activeElement);
    if (at < 0) return;
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const next = cards[at + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}
