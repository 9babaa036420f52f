// Where the server has sign-in: the button that ends it, and what happens when it has ended.

import { $ } from "./dom.js";
import { ask, onSignedOut } from "./server.js";

let looking = null;

/** `ended` is called when the server takes nothing from this visitor any more. */
export function startSignedIn({ ended }) {
  onSignedOut(ended);
  document.addEventListener("error", ({ target }) => target.matches?.("img") && lookWhy(), true);
  // A page that the browser kept asks for nothing.
  window.addEventListener("pageshow", (event) => event.persisted && lookWhy());
  // The last queries are this visitor's.
  $("#sign-out").addEventListener("submit", () => sessionStorage.clear());
}

/** A picture does not come, which says nothing of the reason: it may be that the session ended. */
export function lookWhy() {
  looking ??= ask("page/start")
    .catch(() => {})
    .finally(() => (looking = null));
}

/** Offer to sign out a user; nobody who came by another way. */
export function drawSignedIn(user) {
  const form = $("#sign-out");
  form.hidden = !user;
  $("button", form).title = user ?? "";
  if (user) sendSessionForManifest();
}

/** What makes the page an app is otherwise asked for without cookies, and refused. */
function sendSessionForManifest() {
  const link = $("link[rel=manifest]");
  const own = link?.cloneNode();
  own?.setAttribute("crossorigin", "use-credentials");
  link?.replaceWith(own);
}

/** Sign in again: the server asks for it at any address, and leads back to this one. */
export const signIn = () => location.reload();
