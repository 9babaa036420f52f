// The states without pictures: what is the matter, and what can be done about it.

import { $, element } from "./dom.js";
import { signIn } from "./signed_in.js";
import { current, has, onLanguage, t } from "./words.js";

// Where the server's own sentence, which is English, says more than the page's.
const TELLING = ["bad_query", "no_model", "store_error", "store_away", "failed", "image_gone"];

let shown = null;

/** Show a state; `actions` are {key, run} buttons, `detail` is the server's own sentence. */
export function showMessage(kind, { detail = "", commands = [], actions = [], values = {} } = {}) {
  shown = () => draw(kind, { detail, commands, actions, values });
  shown();
}

export function hideMessage() {
  shown = null;
  $("#message").hidden = true;
}

onLanguage(() => shown?.());

function draw(kind, { detail, commands, actions, values }) {
  const known = has(`state.${kind}.title`) ? kind : "failed";
  const own = has(`state.${known}.text`) ? t(`state.${known}.text`, values) : "";
  const server = sentence(detail);
  const telling = TELLING.includes(kind) || !has(`state.${kind}.text`);
  const texts = current() === "en" && server ? [server] : [own, telling ? server : ""];
  const box = $("#message");
  box.dataset.kind = kind;
  box.replaceChildren(
    element("h2", {}, t(`state.${known}.title`, values)),
    ...texts.filter(Boolean).map((text) => element("p", {}, text)),
    ...commands.map((command) => element("code", {}, command)),
    ...[...actions, ...helps(kind)].map(({ key, run }) => element("button", { type: "button", onclick: run }, t(key))),
  );
  box.hidden = false;
}

/** What helps against a problem wherever it is met. */
export const helps = (kind) => (kind === "signed_out" ? [{ key: "sign_in", run: signIn }] : []);

export function sentence(text) {
  if (!text) return "";
  return text[0].toUpperCase() + text.slice(1) + (/[.!?。…]$/.test(text) ? "" : ".");
}
