// One picture large: what is known of it, and where one can go from it.

import { $, element } from "./dom.js";
import { describe, nameOf } from "./results.js";
import { lookWhy } from "./signed_in.js";
import { locale, onLanguage, t } from "./words.js";

let shown = null;
let act = {};

/** Wire the dialog. `actions`: similar, more, less (hit), step (-1 or 1), closed (hit). */
export function startViewer(actions) {
  act = actions;
  const viewer = $("#viewer");
  document.body.append(viewer); // out of Gradio's boxes, which may clip it
  $("#viewer-close").addEventListener("click", close);
  $("#viewer-previous").addEventListener("click", () => act.step(-1));
  $("#viewer-next").addEventListener("click", () => act.step(1));
  $("#viewer-similar").addEventListener("click", () => act.similar(shown));
  $("#viewer-more").addEventListener("click", () => act.more(shown));
  $("#viewer-less").addEventListener("click", () => act.less(shown));
  $("#viewer-copy").addEventListener("click", copyPath);
  viewer.addEventListener("click", (event) => event.target === viewer && close());
  viewer.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  viewer.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowLeft") act.step(-1);
    else if (event.key === "ArrowRight") act.step(1);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
  onLanguage(() => shown && draw());
}

export const isOpen = () => $("#viewer").open;
export const shownId = () => (isOpen() ? shown?.id : null);

/** Show a picture; `position` tells where it is among the results. */
export function show(hit, position) {
  shown = { ...hit, position };
  draw();
  if (!isOpen()) {
    $("#viewer").showModal();
    $("#viewer-close").focus();
  }
}

/** Close without telling anyone: the address has changed already. */
export function hide() {
  if (isOpen()) $("#viewer").close();
}

function close() {
  hide();
  act.closed(shown);
}

function draw() {
  const hit = shown;
  $("#viewer-name").textContent = nameOf(hit.path);
  $("#viewer-caption").textContent = hit.caption;
  $("#viewer-caption").hidden = !hit.caption;
  const facts = [
    ["fact.category", hit.category],
    ["fact.label", hit.label],
    ["fact.score", hit.score === undefined ? "" : hit.score.toFixed(3)],
    ["fact.size", `${hit.width} × ${hit.height}, ${bytes(hit.size)}`],
    ["fact.date", hit.modified ? new Date(hit.modified).toLocaleString(locale(), { dateStyle: "long", timeStyle: "short" }) : ""],
    ["fact.path", hit.path],
    ["fact.copies", (hit.copies ?? []).join("\n")],
  ];
  $("#viewer-facts").replaceChildren(
    ...facts
      .filter(([, value]) => value)
      .flatMap(([key, value]) => [element("dt", {}, t(key)), element("dd", {}, value)]),
  );
  $("#viewer-open").href = hit.image_url;
  $("#viewer-download").href = hit.image_url;
  $("#viewer-download").download = nameOf(hit.path);
  $("#viewer-copy").textContent = t("viewer.copy");
  const { index, count, more } = hit.position ?? { index: 0, count: 1, more: false };
  $("#viewer-previous").disabled = index <= 0;
  $("#viewer-next").disabled = index >= count - 1 && !more;
  drawPicture(hit);
}

/** The thumbnail at once, the original when it has come; some formats only the thumbnail shows. */
function drawPicture(hit) {
  const picture = $("#viewer-picture");
  if (picture.dataset.id === hit.id) return;
  picture.dataset.id = hit.id;
  picture.dataset.whole = "false";
  picture.alt = describe(hit);
  picture.hidden = false;
  $("#viewer-gone").hidden = true;
  picture.style.setProperty("--width", hit.width);
  picture.style.aspectRatio = `${hit.width} / ${hit.height}`;
  picture.src = hit.thumbnail_url;
  picture.onerror = () => {
    picture.hidden = true;
    $("#viewer-gone").hidden = false;
  };
  const whole = new Image();
  whole.onload = () => {
    if (picture.dataset.id !== hit.id) return;
    picture.src = hit.image_url;
    picture.dataset.whole = "true";
  };
  whole.onerror = lookWhy;
  whole.src = hit.image_url;
}

async function copyPath() {
  let done = true;
  try {
    await navigator.clipboard.writeText(shown.path);
  } catch {
    // Browsers offer the clipboard only on https and on this machine itself.
    const text = element("textarea", { class: "visually-hidden" });
    text.value = shown.path;
    $("#viewer").append(text);
    text.select();
    done = document.execCommand("copy");
    text.remove();
  }
  const said = t(done ? "viewer.copied" : "viewer.not_copied");
  $("#viewer-copy").textContent = said;
  $("#viewer-said").textContent = said;
}

export function bytes(size) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit && value < 100 ? 1 : 0;
  return `${value.toLocaleString(locale(), { maximumFractionDigits: digits })} ${units[unit]}`;
}

