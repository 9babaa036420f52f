// A few pictures of each category, fetched as they come into view.

import { element } from "./dom.js";
import { ask } from "./server.js";
import { NOTHING } from "./state.js";
import { locale, t } from "./words.js";

const AT_FIRST = 24;
const PICTURES = 8;

export function drawMontages(section, categories, actions) {
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      fill(target, actions);
    }
  }, { rootMargin: "300px" });
  const boxes = categories.map(({ name, count }, n) => box(name, count, n >= AT_FIRST, actions));
  const rest = element("button", { type: "button", class: "quiet" }, t("library.all", { count: boxes.length }));
  rest.addEventListener("click", () => {
    boxes.forEach((one) => (one.hidden = false));
    rest.remove();
  });
  section.replaceChildren(
    element("h2", {}, t("library.montages")),
    element("div", { class: "montages" }, ...boxes),
    ...(boxes.length > AT_FIRST ? [rest] : []),
  );
  boxes.forEach((one) => seen.observe(one));
}

function box(name, count, hidden, actions) {
  const label = name || t("no_category");
  const number = element("span", { class: "count" }, count.toLocaleString(locale()));
  // Without a name there are no words to search for.
  const search = element(name ? "button" : "p", name ? { type: "button", class: "quiet" } : {}, label, number);
  if (name) {
    search.addEventListener("click", () => actions.search({ ...NOTHING, q: name, categories: [name] }));
  }
  return element("article", { "data-category": name, hidden }, search, element("div", { class: "montage" }));
}

async function fill(article, actions) {
  const name = article.dataset.category;
  const place = article.querySelector(".montage");
  try {
    const { pictures } = await ask(`api/library/montage?category=${encodeURIComponent(name)}&count=${PICTURES}`);
    place.replaceChildren(
      ...pictures.map(({ id, path, thumbnail_url: source }) => {
        const picture = element("img", { src: source, alt: path.split(/[\\/]/).pop(), loading: "lazy", decoding: "async", width: 120, height: 120 });
        return element("button", { type: "button", title: path, onclick: () => actions.open(id) }, picture);
      }),
    );
  } catch {
    place.textContent = t("library.not_now");
  }
}
