// A picture of the visitor's own to search by: chosen, photographed, pasted or dropped.

import { $, element } from "./dom.js";

// The model looks at a few hundred pixels; more would only take longer on the way.
const LONGEST = 1024;
const KEPT = 20;
const kept = new Map();

/** Wire all the ways in. `onPicture` gets {key, blob, url}; `onIndexed` the id of a result
 * that was dragged; `onRefused` a reason. */
export function startPictures({ onPicture, onIndexed, onRemove, onRefused, maxBytes }) {
  const take = async (file) => {
    if (!file) return;
    if (file.type && !file.type.startsWith("image/")) return onRefused("not_a_picture");
    const blob = await smaller(file);
    if (blob.size > maxBytes()) return onRefused("picture_too_large");
    onPicture(keep(blob));
  };
  for (const input of [$("#picture-file"), $("#picture-camera")]) {
    input.addEventListener("change", () => {
      take(input.files[0]);
      input.value = "";
    });
  }
  startMenu();
  $("#query-picture .remove").addEventListener("click", onRemove);
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    take(file);
  });
  startDropping((file) => take(file), onIndexed);
}

/** A picture of this visit, for the back button; null once it is forgotten. */
export const pictureOf = (key) => kept.get(key) ?? null;

export function drawQueryPicture(picture) {
  const box = $("#query-picture");
  box.hidden = !picture;
  if (picture) $("img", box).src = picture.url;
  else $("img", box).removeAttribute("src");
}

function startMenu() {
  const menu = $("#picture-menu");
  const button = $("#choose-picture");
  const toggle = (open) => {
    menu.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (open) $("button", menu).focus();
  };
  button.setAttribute("aria-haspopup", "menu");
  button.addEventListener("click", () => toggle(menu.hidden));
  $("#picture-upload").addEventListener("click", () => {
    toggle(false);
    $("#picture-file").click();
  });
  $("#picture-photograph").addEventListener("click", () => {
    toggle(false);
    $("#picture-camera").click();
  });
  menu.addEventListener("keydown", (event) => {
    const items = [...menu.querySelectorAll("button")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      items.at((items.indexOf(document.activeElement) + step) % items.length).focus();
    }
    if (event.key !== "Escape") return;
    toggle(false);
    button.focus();
  });
  document.addEventListener("click", (event) => {
    if (!menu.hidden && !menu.contains(event.target) && !button.contains(event.target)) toggle(false);
  });
}

function startDropping(onFile, onIndexed) {
  const sheet = $("#drop");
  document.body.append(sheet);
  let result = null; // the id of a result that is being dragged
  const wanted = (event) => result || event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragstart", (event) => {
    result = event.target.closest?.("#results li")?.dataset.id ?? null;
  });
  let depth = 0;
  const end = () => {
    depth = 0;
    sheet.hidden = true;
  };
  document.addEventListener("dragenter", (event) => {
    if (!wanted(event)) return;
    event.preventDefault();
    depth += 1;
    sheet.hidden = false;
  });
  document.addEventListener("dragleave", () => {
    depth -= 1;
    if (depth <= 0) end();
  });
  document.addEventListener("dragover", (event) => wanted(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!wanted(event)) return;
    event.preventDefault();
    end();
    if (result) onIndexed(result);
    else onFile(event.dataTransfer.files[0]);
    result = null;
  });
  document.addEventListener("dragend", () => {
    result = null;
    end();
  });
}

function keep(blob) {
  const picture = { key: crypto.getRandomValues(new Uint32Array(2)).join("-"), blob, url: URL.createObjectURL(blob) };
  kept.set(picture.key, picture);
  if (kept.size > KEPT) {
    const [oldest, { url }] = kept.entries().next().value;
    URL.revokeObjectURL(url);
    kept.delete(oldest);
  }
  return picture;
}

/** The picture at the size that is needed; the file itself where the browser cannot read it. */
async function smaller(file) {
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = LONGEST / Math.max(bitmap.width, bitmap.height);
    if (scale >= 1) return file;
    const canvas = element("canvas", {
      width: Math.max(1, Math.round(bitmap.width * scale)),
      height: Math.max(1, Math.round(bitmap.height * scale)),
    });
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff"; // what is transparent, as the server has it
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return await new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? file), "image/jpeg", 0.92));
  } catch {
    return file;
  }
}
