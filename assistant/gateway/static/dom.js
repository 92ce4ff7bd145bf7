/* Building elements without innerHTML, so that no text can become markup; and the icons. */

const ICONS = {
  chat: "M20.5 11.6a8 8 0 0 1-11.7 7.1L4 20l1.4-4.5a8 8 0 1 1 15.1-3.9z",
  down: "M6 9.5l6 6 6-6",
  close: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  send: "M12 19V5.5M5.8 11.5L12 5.3l6.2 6.2",
  stop: "M8 8h8v8H8z",
  fresh: "M12.5 5H6.8A1.8 1.8 0 0 0 5 6.8v10.4A1.8 1.8 0 0 0 6.8 19h10.4a1.8 1.8 0 0 0 1.8-1.8v-5.7M17.6 4a1.7 1.7 0 0 1 2.4 2.4L12.6 13.8 9.5 14.5l.7-3.1z",
  person: "M4.5 14v-2a7.5 7.5 0 0 1 15 0v2M4.5 14.5A1.5 1.5 0 0 1 6 13h1.5v5.5H6A1.5 1.5 0 0 1 4.5 17zM19.5 14.5A1.5 1.5 0 0 0 18 13h-1.5v5.5H18a1.5 1.5 0 0 0 1.5-1.5zM18.5 18.5a3.5 3.5 0 0 1-3.5 2.5h-2",
  copy: "M9 9h10.5v10.5H9zM6 15H4.5V4.5H15V6",
  check: "M5 12.8l4.4 4.4L19 7.6",
  thumb: "M7.2 10.4V20H4.5v-9.6zM7.2 10.4l3.9-7a2.3 2.3 0 0 1 2.3 2.3v3h4.8a1.8 1.8 0 0 1 1.8 2.1l-1.2 7.6A1.8 1.8 0 0 1 17 20H7.2",
  again: "M5 12a7 7 0 0 1 12-4.9l2.5 2.4M19.5 5v4.5H15M19 12a7 7 0 0 1-12 4.9l-2.5-2.4M4.5 19v-4.5H9",
  clock: "M12 7.5V12l2.8 1.8M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16z",
  alert: "M12 8v4.6M12 15.8v.2M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16z",
  source: "M5 5.5A1.5 1.5 0 0 1 6.5 4H19v16H6.5A1.5 1.5 0 0 1 5 18.5zM5 18a1.5 1.5 0 0 1 1.5-1.5H19M9 8h6",
  mail: "M4 6.5h16v11H4zM4.3 7l7.7 6 7.7-6",
  attach: "M18.5 11.5l-6.6 6.6a4 4 0 0 1-5.7-5.7l7-7a2.7 2.7 0 0 1 3.8 3.8l-6.9 6.9a1.3 1.3 0 0 1-1.9-1.9l6.2-6.2",
  file: "M7 4h6.5L18 8.5V20H7zM13.3 4.2v4.5H18",
  save: "M12 4.5v10M7.8 10.8l4.2 4.2 4.2-4.2M5 19.5h14",
  phone: "M8.6 4.5l1.6 3.9-2 1.6a12 12 0 0 0 5.8 5.8l1.6-2 3.9 1.6v3a1.6 1.6 0 0 1-1.8 1.6A15.5 15.5 0 0 1 4 6.3a1.6 1.6 0 0 1 1.6-1.8z",
};

/** One of the icons above, drawn in the current text colour. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.append(path);
  return svg;
}

/** An element with attributes, `onclick`-like listeners, and children; empty children are left out. */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child || child === 0));
  return node;
}

/** A button that shows an icon and is read as `label`. */
export const iconButton = (name, label, className, onclick) =>
  h("button", { type: "button", class: `icon-button ${className}`, "aria-label": label, title: label, onclick }, icon(name));

/** The wire counts in code points, JavaScript in UTF-16 units. */
export const codePoints = (text) => Array.from(text);

/** Whether the customer asked the system for less motion. */
export const prefersStill = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Puts a text on the clipboard. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // The clipboard interface exists on https pages only; the old command works on the others.
    const field = h("textarea", { readonly: true });
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}
