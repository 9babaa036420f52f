// Light or dark, and the language: the switches at the top.

import { $ } from "./dom.js";
import * as words from "./words.js";

const KEPT = "theme";

export function startLook() {
  const kept = localStorage.getItem(KEPT);
  // Gradio's style sheet is dark below body.dark, which it sets by the browser's preference.
  if (kept) document.body.classList.toggle("dark", kept === "dark");
  $("#theme").addEventListener("click", () => {
    const dark = document.body.classList.toggle("dark");
    localStorage.setItem(KEPT, dark ? "dark" : "light");
  });
  const choice = $("#language");
  choice.value = words.current();
  choice.addEventListener("change", () => words.use(choice.value, { keep: true }));
}
