// The two views, as tabs: the search and the library.

import { $, $$ } from "./dom.js";
import { showLibrary, startLibrary } from "./library.js";

let onSearch = () => {};
let onLeave = () => {};
let lastSearch = { address: "./", entry: null };

export function startTabs({ onSearch: back, onLeave: leave, ...actions }) {
  onSearch = back;
  onLeave = leave;
  startLibrary(actions);
  const tabs = $$("#tabs [role=tab]");
  for (const tab of tabs) {
    tab.addEventListener("click", () => choose(nameOf(tab)));
    tab.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = tabs[(tabs.indexOf(tab) + 1) % tabs.length];
      other.focus();
      choose(nameOf(other));
    });
  }
}

const nameOf = (tab) => tab.id.replace("tab-", "");

/** The visitor goes to a view: its address is a place of its own in the history. */
function choose(name) {
  if ($(`#tab-${name}`).getAttribute("aria-selected") === "true") return;
  if (name === "library") {
    onLeave();
    lastSearch = { address: location.search || "./", entry: history.state };
    history.pushState(null, "", "?view=library");
    window.scrollTo(0, 0);
  } else {
    history.pushState(lastSearch.entry, "", lastSearch.address);
  }
  showTab(name);
  if (name === "search") onSearch();
}

/** Show a view. */
export function showTab(name) {
  for (const tab of $$("#tabs [role=tab]")) {
    const chosen = nameOf(tab) === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    $(`#${tab.getAttribute("aria-controls")}`).hidden = !chosen;
  }
  if (name === "library") showLibrary();
}
