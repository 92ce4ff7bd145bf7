/* The demo shop: its language, its basket, and the chat widget as any site would embed it. */
"use strict";

const language = new URLSearchParams(location.search).get("lang")?.startsWith("zh") ? "zh-CN" : "en";

const CHAT = {
  en: {
    title: "Lumen & Oak",
    suggestions: "How do I return an item?|How long does delivery take?|Do I need the original packaging for a return?",
  },
  "zh-CN": { title: "木光生活", suggestions: "如何退货？|运费是多少？|退款多久能到账？" },
};

// Before the first paint, so that the other language never flashes up.
document.documentElement.lang = language;

function embedChat() {
  const script = document.createElement("script");
  script.src = "/widget.js";
  Object.assign(script.dataset, { accent: "#2f5d50", locale: language, ...CHAT[language] });
  document.body.append(script);
}

async function ask(question) {
  await customElements.whenDefined("assistant-chat");
  const chat = document.querySelector("assistant-chat");
  chat.open();
  chat.send(question);
}

document.addEventListener("DOMContentLoaded", () => {
  document.title = CHAT[language].title;
  embedChat();
  for (const button of document.querySelectorAll(".ask")) button.addEventListener("click", () => ask(button.textContent));
  const count = document.querySelector("#basket-count");
  for (const button of document.querySelectorAll(".add")) {
    button.addEventListener("click", () => (count.textContent = Number(count.textContent) + 1));
  }
});
