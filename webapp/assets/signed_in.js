// Where the server has sign-in: the button that ends it, and what happens when it has ended.

import { $ } from "./dom.js";
import { ask, onSignedOut } from "./server.js";

/** `ended` is called when the server takes nothing from this visitor any more. */
export function startSignedIn({ ended }) {
  onSignedOut(ended);
  // Pictures say nothing of why they do not come, and a page that the browser kept asks for nothing.
  const look = () => ask("page/start").catch(() => {});
  let looking = null;
  const failed = ({ target }) => {
    if (!target.matches?.("img")) return;
    looking ??= look().finally(() => (looking = null));
  };
  document.addEventListener("error", failed, true);
  window.addEventListener("pageshow", (event) => event.persisted && look());
  // The last queries are this visitor's.
  $("#sign-out").addEventListener("submit", () => sessionStorage.clear());
}

/** Offer to sign out a user; nobody who came by another way. */
export function drawSignedIn(user) {
  const form = $("#sign-out");
  form.hidden = !user;
  $("button", form).title = user ?? "";
}

/** Sign in again: the server asks for it at any address, and leads back to this one. */
export const signIn = () => location.reload();
