/*
 * The chat widget's one script tag. It adds <assistant-chat> to the page:
 *
 *   <script src="https://HOST/widget.js" async
 *           data-tenant data-locale data-title data-greeting data-accent="#2f5d50"
 *           data-position="right|left" data-theme="auto|light|dark" data-open
 *           data-suggestions="First question|Second question"></script>
 *
 * On the element: open(), close(), send(text), newConversation(), isOpen; events assistant:open, assistant:message.
 * The page's content security policy needs script-src and connect-src for HOST, nothing inline.
 */
(() => {
  "use strict";

  const { src, dataset } = document.currentScript;

  async function mount() {
    const { AssistantChat } = await import(new URL("/static/chat.js", src));
    if (customElements.get("assistant-chat")) return; // the tag is on the page twice
    AssistantChat.configure({ origin: new URL(src).origin, options: { ...dataset } });
    customElements.define("assistant-chat", AssistantChat);
    if (!document.querySelector("assistant-chat")) document.body.append(document.createElement("assistant-chat"));
  }

  if (document.body) mount();
  else document.addEventListener("DOMContentLoaded", mount, { once: true });
})();
