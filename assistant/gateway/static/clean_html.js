/* The second step after the server cleaned an answer: only what is listed here reaches the page. */

const ALLOWED_TAGS = new Set(
  "A B BLOCKQUOTE BR CODE DEL EM H3 H4 HR I LI OL P PRE S STRONG TABLE TBODY TD TH THEAD TR UL".split(" "),
);
const DROPPED_TAGS = new Set(
  "SCRIPT STYLE TEMPLATE IFRAME OBJECT EMBED NOSCRIPT SVG MATH TITLE TEXTAREA SELECT XMP NOEMBED NOFRAMES".split(" "),
);
const ALLOWED_PROTOCOLS = new Set(["https:", "http:", "mailto:", "tel:"]);
const MAX_DEPTH = 24;

const trusted = (() => {
  try {
    return window.trustedTypes?.createPolicy("assistant-chat", { createHTML: (html) => html });
  } catch {
    return undefined; // the page forbids more policies: the answer is then shown as text
  }
})();

/** `html` as new nodes of allowed tags only; nothing of the parsed document itself is kept. Null if it cannot be parsed. */
export function cleanHtml(html) {
  let parsed;
  try {
    parsed = new DOMParser().parseFromString(trusted ? trusted.createHTML(html) : html, "text/html");
  } catch {
    return null;
  }
  const clean = document.createDocumentFragment();
  copyAllowed(parsed.body, clean, 0);
  return clean;
}

function copyAllowed(from, to, depth) {
  for (const node of from.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) to.append(node.data);
    if (node.nodeType !== Node.ELEMENT_NODE || DROPPED_TAGS.has(node.tagName.toUpperCase()) || depth > MAX_DEPTH) continue;
    const target = ALLOWED_TAGS.has(node.tagName) ? to.appendChild(document.createElement(node.tagName)) : to;
    if (node.tagName === "A") copyLink(node, target);
    if (node.tagName === "OL" && /^\d{1,6}$/.test(node.getAttribute("start") ?? "")) target.start = Number(node.getAttribute("start"));
    copyAllowed(node, target, depth + 1);
  }
}

function copyLink(from, to) {
  const address = from.getAttribute("href") ?? "";
  if (!URL.canParse(address) || !ALLOWED_PROTOCOLS.has(new URL(address).protocol)) return;
  to.href = address;
  to.target = "_blank";
  to.rel = "noopener noreferrer nofollow";
}
