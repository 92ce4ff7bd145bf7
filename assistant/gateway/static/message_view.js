/* How one message looks: its bubble, and what belongs below it (sources, contact, copy, rating). */

import { cleanHtml } from "./clean_html.js";
import { copyText, h, icon, iconButton } from "./dom.js";

const COPIED_MS = 2_000;
const MAX_COMMENT_CHARS = 500;
const FINISH_TEXTS = { interrupted: "interrupted", length: "cut", error: "broken" };

/** Markdown without its marks, for where no HTML goes: the text while it streams, quotes, what is read aloud. */
export const withoutMarks = (text) =>
  text
    .replace(/\[([^\]]*)\]\([^)\s]*\)?/g, "$1")
    .replace(/\*\*|`/g, "")
    .replace(/^(\s*)[-*] /gm, "$1• ")
    .replace(/^#{1,6} /gm, "");

/**
 * Makes the list items of a transcript. `on` has `rate({message_id, rating, comment?})`, `reword(message_id)`, `handOver()`, `canHandOver()`,
 * `contact()` -> {email, phone, hours}, `agentName()`, `announce(text)`, `download(attachment)`, and `grown()` after an item changed its height.
 */
export class MessageView {
  #texts;
  #calendar;
  #on;

  constructor(texts, calendar, on) {
    this.#texts = texts;
    this.#calendar = calendar;
    this.#on = on;
  }

  /** A message of the customer; `state` is where its sending is reported, if it is not confirmed. */
  customer(text, moment, state = null) {
    return h("li", { class: "item customer message" }, plainBubble(text), h("div", { class: "meta" }, this.#clock(moment), state));
  }

  /** A file that somebody sent, to be saved and never shown. */
  attachment(author, data, moment) {
    const label = this.#texts.download(data.name);
    const button = h("button", { type: "button", class: "file", "aria-label": label, title: label, onclick: () => this.#on.download(data) },
      icon("file"), fileLabel(this.#calendar, data.name, data.bytes), icon("save"));
    return h("li", { class: `item ${author} message attachment` },
      author === "agent" && h("div", { class: "who" }, this.#on.agentName()),
      h("div", { class: "bubble" }, button), h("div", { class: "meta" }, this.#clock(moment)));
  }

  /** A file of the customer's that is being sent; `state` is where that is reported. */
  upload(item, state) {
    const file = h("div", { class: "file" }, icon("file"), fileLabel(this.#calendar, item.name, item.bytes));
    return h("li", { class: "item customer attachment" }, h("div", { class: "bubble" }, file), h("div", { class: "meta" }, state));
  }

  /** A message of the assistant or of an agent. */
  answer(author, data, moment) {
    const content = contentOf(data);
    const finish = this.#texts[FINISH_TEXTS[data.finish_reason]];
    const meta = h("div", { class: "meta" }, this.#clock(moment), finish && h("span", { class: "finish" }, finish),
      data.text && this.#copyButton(content));
    const node = h("li", { class: `item ${author} message` },
      author === "agent" && h("div", { class: "who" }, this.#on.agentName()),
      h("div", { class: "bubble" }, content, data.citations?.length > 0 && this.#sources(data.citations)),
      ["abstained", "handoff"].includes(data.decision) && this.#contact(data, content),
      meta);
    if (author === "assistant") meta.append(...this.#ratingButtons(node, data.message_id), ...this.#rewordButtons(data));
    return node;
  }

  /** An answer that is still being written, and the text node to write it to. */
  stream() {
    const text = document.createTextNode("");
    const content = h("div", { class: "content plain", dir: "auto" }, text, h("span", { class: "caret" }));
    return { node: h("li", { class: "item assistant streaming" }, h("div", { class: "bubble" }, content)), text };
  }

  greeting(text) {
    return h("li", { class: "item assistant greeting" }, plainBubble(text));
  }

  #clock(moment) {
    return h("time", { datetime: moment.toISOString() }, this.#calendar.time.format(moment));
  }

  #sources(citations) {
    const unique = new Map(citations.map((citation) => [`${citation.entry_id} ${citation.quote}`, citation]));
    const entries = [...unique.values()].map(({ title, quote, lang }) =>
      h("li", { lang }, h("div", { class: "source-title" }, title), quote && h("blockquote", {}, withoutMarks(quote))));
    return h("details", { class: "sources", ontoggle: () => this.#on.grown() },
      h("summary", {}, icon("source"), this.#texts.sources(entries.length), icon("down")),
      h("ol", {}, ...entries));
  }

  /** How to reach the team: as links within the answer where it says so itself, else as a card below it. */
  #contact({ decision, text }, content) {
    const { email, phone, hours } = this.#on.contact();
    const links = [[email, `mailto:${email}`], [phone, `tel:${phone?.replace(/[^+\d]/g, "")}`]].filter(([detail]) => detail);
    const isSaid = links.some(([detail]) => text.includes(detail));
    for (const [detail, href] of links) linkFirst(content, detail, href);
    return links.length === 0 || isSaid ? null : this.#contactCard(links, hours, decision);
  }

  #contactCard(links, hours, decision) {
    const canAsk = decision === "abstained" && this.#on.canHandOver();
    return h("div", { class: "contact" },
      h("div", { class: "contact-title" }, this.#texts.reach),
      ...links.map(([detail, href]) => h("a", { href }, icon(href.startsWith("tel:") ? "phone" : "mail"), detail)),
      hours && h("div", { class: "hours" }, icon("clock"), hours),
      canAsk && h("button", { type: "button", class: "outline", onclick: () => this.#on.handOver() }, icon("person"), this.#texts.person));
  }

  #copyButton(content) {
    const button = iconButton("copy", this.#texts.copy, "small", async () => {
      await copyText(content.innerText);
      button.replaceChildren(icon("check"));
      this.#on.announce(this.#texts.copied);
      setTimeout(() => button.replaceChildren(icon("copy")), COPIED_MS);
    });
    return button;
  }

  /** Only the last answer can be given in other words: the style sheet hides the button of all others. */
  #rewordButtons({ message_id, decision }) {
    if (!["verbatim", "composed"].includes(decision)) return [];
    return [iconButton("again", this.#texts.reword, "small reword", () => this.#on.reword(message_id))];
  }

  #ratingButtons(node, message_id) {
    const rate = (rating) => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.rating === rating));
      node.querySelector(".comment")?.remove();
      this.#on.rate({ message_id, rating });
      if (rating === "down") this.#askComment(node, message_id);
      else this.#on.announce(this.#texts.thanks);
    };
    const button = (rating, label, className) => {
      const made = iconButton("thumb", label, `small ${className}`, () => rate(rating));
      made.dataset.rating = rating;
      made.setAttribute("aria-pressed", "false");
      return made;
    };
    const buttons = [button("up", this.#texts.up, ""), button("down", this.#texts.down, "flipped")];
    return buttons;
  }

  #askComment(node, message_id) {
    const { comment, commentSend, thanks } = this.#texts;
    const field = h("textarea", { rows: 2, maxlength: MAX_COMMENT_CHARS, "aria-label": comment, placeholder: comment });
    const submit = (event) => {
      event.preventDefault();
      if (field.value.trim()) this.#on.rate({ message_id, rating: "down", comment: field.value.trim() });
      form.replaceChildren(h("span", { class: "thanks" }, thanks));
      this.#on.announce(thanks);
    };
    const form = h("form", { class: "comment", onsubmit: submit }, field, h("button", { class: "outline" }, commentSend));
    node.append(form);
    this.#on.grown();
    field.focus();
  }
}

function contentOf({ html, text, language }) {
  const clean = html ? cleanHtml(html) : null;
  return h("div", { class: clean ? "content" : "content plain", lang: language, dir: "auto" }, clean ?? text);
}

/** Makes a link of the first place where `text` stands in a node. */
function linkFirst(node, text, href) {
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const at = walker.currentNode.data.indexOf(text);
    if (at < 0 || walker.currentNode.parentElement.closest("a")) continue;
    const found = walker.currentNode.splitText(at);
    found.splitText(text.length);
    found.replaceWith(h("a", { href }, text));
    return;
  }
}

const fileLabel = (calendar, name, bytes) =>
  h("span", { class: "file-label" }, h("span", { class: "file-name", dir: "auto" }, name), h("span", { class: "file-size" }, calendar.size(bytes)));

const plainBubble = (text) => h("div", { class: "bubble" }, h("div", { class: "content plain", dir: "auto" }, text));
