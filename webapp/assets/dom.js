// Small helpers for elements. Text is always set as text: nothing from outside becomes markup.

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** An element with attributes, properties that start with "on" as listeners, and children. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Resolves when an element of the frame is there; Gradio draws it some time after the scripts. */
export function appears(selector) {
  return new Promise((resolve) => {
    const found = () => {
      const target = $(selector);
      if (target) resolve(target);
      return Boolean(target);
    };
    if (found()) return;
    const observer = new MutationObserver(() => found() && observer.disconnect());
    observer.observe(document.documentElement, { childList: true, subtree: true });
  });
}
