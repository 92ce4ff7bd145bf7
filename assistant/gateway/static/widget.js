/*
 * The chat widget's one script tag. It adds <assistant-chat> to the page:
 *
 *   <script src="https://HOST/widget.js" async
 *           data-tenant data-locale data-title data-greeting data-accent="#2f5d50"
 *           data-position="right|left" data-theme="auto|light|dark" data-open
 *           data-suggestions="First question|Second question" data-identity='{"user_id": ...}'></script>
 *
 * On the element: open(), close(), send(text), newConversation(), isOpen; events assistant:open, assistant:message, assistant:identity.
 * For the page: window.assistant.identify(proof, or a function that gives one) and window.assistant.signOut(); both may be called before
 * the element is there.
 * The page's content security policy needs script-src and connect-src for HOST, nothing inline.
 */
(() => {
  "use strict";

  const { src, dataset } = document.currentScript;

  async function mount() {
    if (!document.body) await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
    const { AssistantChat } = await import(new URL("/static/chat.js", src));
    if (!customElements.get("assistant-chat")) { // or the tag is on the page twice
      AssistantChat.configure({ origin: new URL(src).origin, options: { ...dataset } });
      customElements.define("assistant-chat", AssistantChat);
    }
    if (!document.querySelector("assistant-chat")) document.body.append(document.createElement("assistant-chat"));
    return document.querySelector("assistant-chat");
  }

  const mounted = mount();
  window.assistant ??= Object.freeze({
    identify: async (identity) => (await mounted).identify(identity),
    signOut: async () => (await mounted).signOut(),
  });
})();
