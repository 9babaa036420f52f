// The collection as a map: a sample of its pictures where PCA puts them, coloured by category.

import { element } from "./dom.js";
import { nameOf } from "./results.js";
import { ask } from "./server.js";
import { t } from "./words.js";

const RADIUS = 4;
const REACH = 14; // pixels from a point at which it is still meant
const LEGEND = 14;
const GOLDEN_ANGLE = 137.508; // spreads any number of hues evenly (Vogel 1979)
const MARGIN = 16;

export async function drawMap(section, categories, actions) {
  section.replaceChildren(element("h2", {}, t("map.title")), element("p", { role: "status" }, t("library.reading")));
  let map;
  try {
    map = await ask("api/library/map");
  } catch {
    section.replaceChildren(element("h2", {}, t("map.title")), element("p", {}, t("library.not_now")));
    return;
  }
  const order = categories.map(({ name }) => name);
  const hue = (name) => (order.indexOf(name) * GOLDEN_ANGLE) % 360;
  const canvas = element("canvas", { role: "img", "aria-label": t("map.label", { count: map.sampled }) });
  const tip = element("div", { class: "tip", hidden: true });
  const place = element("div", { class: "plane" }, canvas, tip);
  let chosen = null; // the category that is lit alone
  const legend = element(
    "ul",
    { class: "legend" },
    ...order.slice(0, LEGEND).map((name) => {
      const button = element("button", { type: "button", class: "quiet", "aria-pressed": "false" }, element("span", { class: "dot", style: `--hue: ${hue(name)}` }), name || t("no_category"));
      button.addEventListener("click", () => {
        chosen = chosen === name ? null : name;
        for (const one of legend.querySelectorAll("button")) {
          one.setAttribute("aria-pressed", String(one === button && chosen !== null));
        }
        paint();
      });
      return element("li", {}, button);
    }),
  );
  const share = map.explained.reduce((sum, part) => sum + part, 0);
  section.replaceChildren(
    element("h2", {}, t("map.title")),
    element("p", {}, t("map.how", { sampled: map.sampled, of: map.of, share: Math.round(share * 100) })),
    place,
    legend,
  );

  let spots = [];
  function paint(lit = null) {
    const { width, height } = place.getBoundingClientRect();
    const dense = window.devicePixelRatio || 1;
    canvas.width = width * dense;
    canvas.height = height * dense;
    const context = canvas.getContext("2d");
    context.scale(dense, dense);
    const across = (value, length) => MARGIN + ((value + 1) / 2) * (length - 2 * MARGIN);
    spots = map.points.map((point) => ({ point, x: across(point.x, width), y: across(-point.y, height) }));
    for (const { point, x, y } of spots) {
      const dim = chosen !== null && point.category !== chosen;
      context.fillStyle = `hsl(${hue(point.category)} 70% 50% / ${dim ? 0.1 : 0.75})`;
      context.beginPath();
      context.arc(x, y, point === lit ? RADIUS * 2 : RADIUS, 0, 2 * Math.PI);
      context.fill();
    }
  }

  const nearest = (event) => {
    const { left, top } = canvas.getBoundingClientRect();
    const [px, py] = [event.clientX - left, event.clientY - top];
    let best = null;
    for (const spot of spots) {
      if (chosen !== null && spot.point.category !== chosen) continue;
      const far = Math.hypot(spot.x - px, spot.y - py);
      if (far <= REACH && (!best || far < best.far)) best = { ...spot, far };
    }
    return best;
  };
  let shown = null;
  canvas.addEventListener("pointermove", (event) => {
    const spot = nearest(event);
    canvas.style.cursor = spot ? "pointer" : "default";
    if (spot?.point === shown) return;
    shown = spot?.point ?? null;
    tip.hidden = !shown;
    paint(shown);
    if (!shown) return;
    const picture = element("img", { src: shown.thumbnail_url, alt: "" });
    tip.replaceChildren(picture, element("strong", {}, shown.category || t("no_category")), element("span", {}, nameOf(shown.path)));
    // Beside the point, on the side that has room.
    tip.style.left = spot.x > canvas.clientWidth / 2 ? "auto" : `${spot.x + REACH}px`;
    tip.style.right = spot.x > canvas.clientWidth / 2 ? `${canvas.clientWidth - spot.x + REACH}px` : "auto";
    tip.style.top = spot.y > canvas.clientHeight / 2 ? "auto" : `${spot.y}px`;
    tip.style.bottom = spot.y > canvas.clientHeight / 2 ? `${canvas.clientHeight - spot.y}px` : "auto";
  });
  canvas.addEventListener("pointerleave", () => {
    shown = null;
    tip.hidden = true;
    paint();
  });
  canvas.addEventListener("click", (event) => {
    const spot = nearest(event);
    if (spot) actions.open(spot.point.id);
  });
  new ResizeObserver(() => paint(shown)).observe(place);
}
