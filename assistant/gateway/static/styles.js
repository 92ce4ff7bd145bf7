/* How the widget looks. A constructed sheet: the page's content security policy has no say in it. */

export const SHEET = new CSSStyleSheet();
SHEET.replaceSync(`
:host { all: initial; }
:host([hidden]) { display: none; }
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
.root {
  --accent: #2f5bd0; --on-accent: #fff; --accent-text: #2850bd;
  --surface: #fff; --bubble: #f3f4f6; --hover: #eceef1; --line: #e2e5e9; --edge: #858c96; --ink: #1b1e23; --muted: #5d656f;
  --danger: #b3261e;
  --note: #fff6e0; --note-ink: #6b4a00; --shadow: 0 1px 2px rgb(15 20 30 / 8%), 0 12px 40px rgb(15 20 30 / 18%);
  color-scheme: light; color: var(--ink); font-size: 15px; line-height: 1.5; -webkit-font-smoothing: antialiased; text-align: start;
  font-family: -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei",
    "Noto Sans CJK SC", "Noto Sans SC", sans-serif;
}
.root.dark {
  --accent-text: #a9c1ff; --surface: #1b1d20; --bubble: #2a2d31; --hover: #33373c; --line: #34383d; --edge: #7c848e;
  --ink: #eceef0; --muted: #a6adb5; --danger: #ff9a90;
  --note: #3a3120; --note-ink: #f3d9a4; --shadow: 0 1px 2px rgb(0 0 0 / 40%), 0 12px 40px rgb(0 0 0 / 55%); color-scheme: dark;
}
button, textarea { font: inherit; color: inherit; margin: 0; }
button { border: 0; background: none; padding: 0; cursor: pointer; }
button:disabled { cursor: default; opacity: .45; }
a { color: var(--accent-text); text-underline-offset: 2px; }
:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 2px; }
h2, h3, p, ol, ul, blockquote, pre { margin: 0; padding: 0; }
.icon {
  width: 20px; height: 20px; flex: none; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linecap: round;
  stroke-linejoin: round;
}
.icon-stop { fill: currentColor; }
.sr-only {
  position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}

.launcher {
  position: fixed; z-index: 2147483000; right: calc(20px + env(safe-area-inset-right));
  bottom: calc(20px + env(safe-area-inset-bottom));
  width: 56px; height: 56px; border-radius: 50%; display: grid; place-items: center; background: var(--accent);
  color: var(--on-accent);
  box-shadow: var(--shadow); transition: transform .16s ease;
}
.launcher:hover { transform: translateY(-2px); }
.launcher .icon { width: 26px; height: 26px; grid-area: 1 / 1; transition: opacity .16s, transform .16s; }
.launcher .icon-down, .open .launcher .icon-chat { opacity: 0; transform: scale(.6); }
.open .launcher .icon-down { opacity: 1; transform: none; }
.launcher .dot {
  display: none; position: absolute; top: 1px; right: 1px; width: 14px; height: 14px; border-radius: 50%;
  background: #d92d20; border: 2px solid #fff;
}
.unread .launcher .dot { display: block; }
.left .launcher { right: auto; left: calc(20px + env(safe-area-inset-left)); }

.panel {
  position: fixed; z-index: 2147483000; right: calc(20px + env(safe-area-inset-right));
  bottom: calc(88px + env(safe-area-inset-bottom));
  width: 396px; height: min(680px, calc(100dvh - 108px)); display: flex; flex-direction: column; overflow: hidden;
  background: var(--surface); border: 1px solid var(--line); border-radius: 18px; box-shadow: var(--shadow);
  animation: rise .18s ease-out;
}
.left .panel { right: auto; left: calc(20px + env(safe-area-inset-left)); }
@keyframes rise { from { opacity: 0; transform: translateY(10px); } }

header { display: flex; align-items: center; gap: 4px; padding: 14px 12px 14px 16px; border-bottom: 1px solid var(--line); }
.avatar {
  width: 38px; height: 38px; border-radius: 50%; display: grid; place-items: center; flex: none; margin-inline-end: 8px;
  background: var(--accent); color: var(--on-accent); font-weight: 600; font-size: 16px;
}
.names { flex: 1; min-width: 0; }
h2 { font-size: 15.5px; font-weight: 650; line-height: 1.3; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.subtitle { display: flex; align-items: center; gap: 6px; font-size: 12.5px; line-height: 1.4; color: var(--muted); }
.subtitle::before { content: ""; width: 7px; height: 7px; flex: none; border-radius: 50%; background: var(--edge); }
.subtitle.online::before { background: #1f9d61; }
.icon-button {
  width: 36px; height: 36px; border-radius: 10px; display: grid; place-items: center; flex: none; color: var(--muted);
  transition: background .12s, color .12s;
}
.icon-button:hover { background: var(--hover); color: var(--ink); }
.icon-button.small { width: 28px; height: 28px; border-radius: 8px; }
.icon-button.small .icon { width: 16px; height: 16px; }
.icon-button.flipped .icon { transform: rotate(180deg); }
.icon-button[aria-pressed="true"] { color: var(--accent-text); }
.icon-button[aria-pressed="true"] .icon { fill: color-mix(in srgb, currentColor 28%, transparent); }

.banner {
  display: flex; gap: 10px; align-items: baseline; justify-content: space-between; padding: 9px 16px; font-size: 13px;
  background: var(--note); color: var(--note-ink);
}
.banner:empty, .notice:empty { display: none; }
.banner .link { color: inherit; text-decoration: underline; white-space: nowrap; }

.stage { flex: 1; min-height: 0; position: relative; display: flex; }
.scroll {
  flex: 1; overflow-y: auto; overscroll-behavior: contain; padding: 16px; scrollbar-width: thin;
  scrollbar-color: var(--line) transparent;
}
.scroll:focus-visible { outline-offset: -3px; }
.items { list-style: none; display: flex; flex-direction: column; gap: 10px; }
.item { display: flex; flex-direction: column; align-items: flex-start; max-width: 88%; animation: appear .16s ease-out; }
@keyframes appear { from { opacity: 0; transform: translateY(4px); } }
.item.streaming, .item.streaming + .item { animation: none; }
.item.customer { align-self: flex-end; align-items: flex-end; }
.bubble { max-width: 100%; padding: 9px 14px; border-radius: 16px; background: var(--bubble); overflow-wrap: anywhere; }
.assistant .bubble, .agent .bubble { border-start-start-radius: 5px; }
.customer .bubble { background: var(--accent); color: var(--on-accent); border-end-end-radius: 5px; }
.agent .bubble { background: color-mix(in srgb, var(--accent) 12%, var(--surface)); }
.item[data-state="failed"] .bubble { background: none; color: var(--ink); box-shadow: inset 0 0 0 1.5px var(--danger); }
.item[data-state="sending"] .bubble, .item[data-state="queued"] .bubble { opacity: .72; }
.who { font-size: 12.5px; font-weight: 600; color: var(--muted); margin: 4px 2px 3px; }
.item:not(:last-child) .reword { display: none; }
.meta {
  display: flex; align-items: center; gap: 6px; min-height: 20px; margin-top: 3px; padding: 0 3px; font-size: 12px;
  color: var(--muted);
}
.assistant .meta, .agent .meta { gap: 1px; }
.finish::before { content: "·"; margin: 0 5px; }
.meta time { margin-inline-end: 4px; }
.state { display: inline-flex; align-items: center; gap: 4px; }
.state .icon { width: 14px; height: 14px; }
.item[data-state="failed"] .state { color: var(--danger); }
.item[data-state="sent"]:has(~ .customer) .state { display: none; }

.content.plain { white-space: pre-wrap; }
.content > * + * { margin-top: 8px; }
.content :is(ol, ul) { padding-inline-start: 1.35em; }
.content ul { list-style: disc; }
.content li + li { margin-top: 3px; }
.content li::marker { color: var(--muted); }
.content :is(h3, h4) { font-size: 1em; font-weight: 650; }
.content :is(code, pre) {
  font: 0.9em ui-monospace, SFMono-Regular, Consolas, "Liberation Mono", monospace; background: var(--hover);
  border-radius: 5px;
}
.content code { padding: 1px 4px; }
.content pre { padding: 8px 10px; overflow-x: auto; }
.content pre code { padding: 0; }
.content blockquote { border-inline-start: 3px solid var(--line); padding-inline-start: 10px; color: var(--muted); }
.content table { display: block; overflow-x: auto; border-collapse: collapse; font-size: .93em; }
.content :is(td, th) { border: 1px solid var(--line); padding: 4px 8px; text-align: start; }
.content hr { border: 0; border-top: 1px solid var(--line); }
.caret {
  display: inline-block; width: 2px; height: 1.05em; margin-inline-start: 2px; vertical-align: -.18em; border-radius: 1px;
  background: var(--accent-text); animation: blink 1.1s steps(2, jump-none) infinite;
}
@keyframes blink { to { opacity: 0; } }

.sources {
  margin-top: 9px; padding-top: 8px; border-top: 1px solid color-mix(in srgb, var(--edge) 32%, transparent); font-size: 13px;
}
summary {
  display: inline-flex; align-items: center; gap: 5px; color: var(--muted); cursor: pointer; list-style: none;
  border-radius: 6px;
}
summary::-webkit-details-marker { display: none; }
summary:hover { color: var(--ink); }
summary .icon { width: 15px; height: 15px; }
details[open] summary .icon-down { transform: rotate(180deg); }
.sources ol { list-style: none; display: grid; gap: 10px; margin-top: 8px; padding-bottom: 3px; }
.source-title { font-weight: 600; }
.sources blockquote {
  margin-top: 2px; padding-inline-start: 10px; border-inline-start: 2px solid var(--accent-text); color: var(--muted);
  white-space: pre-line;
}

.contact {
  margin-top: 8px; padding: 12px 14px; width: 100%; display: grid; justify-items: start; gap: 7px; font-size: 13.5px;
  border: 1px solid var(--line); border-radius: 14px;
}
.contact-title { font-weight: 600; }
.contact :is(a, .hours) { display: flex; align-items: flex-start; gap: 8px; text-decoration: none; overflow-wrap: anywhere; }
.contact a:hover { text-decoration: underline; }
.contact .hours { color: var(--muted); }
.contact .icon { width: 17px; height: 17px; margin-top: 1px; }
.contact .outline { margin-top: 4px; }
.outline, .solid {
  display: inline-flex; align-items: center; gap: 7px; padding: 7px 14px; border-radius: 999px; font-size: 13.5px;
  font-weight: 550;
}
.outline { border: 1px solid var(--edge); }
.outline:hover { background: var(--hover); }
.outline .icon { width: 16px; height: 16px; margin: 0; }
.solid { background: var(--accent); color: var(--on-accent); border: 1px solid transparent; }
.comment { width: 100%; min-width: 250px; display: grid; justify-items: start; gap: 8px; margin-top: 6px; font-size: 13.5px; }
.comment textarea {
  width: 100%; resize: none; padding: 8px 11px; border: 1px solid var(--edge); border-radius: 12px;
  background: var(--surface);
}
.comment textarea:focus-visible { outline-offset: -1px; }
.thanks { color: var(--muted); }

.file { display: flex; align-items: center; gap: 9px; max-width: 100%; color: inherit; text-align: start; border-radius: 8px; }
.file .icon { width: 22px; height: 22px; }
.file .icon-save { width: 18px; height: 18px; opacity: .8; }
button.file:hover .file-name { text-decoration: underline; }
.bubble:has(.file:focus-visible) { outline: 2px solid var(--accent-text); outline-offset: 2px; }
.file:focus-visible { outline: 0; }
.file-label { display: grid; min-width: 0; line-height: 1.35; }
.file-name { overflow: hidden; text-overflow: ellipsis; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; }
.file-size { font-size: 12.5px; opacity: .85; font-variant-numeric: tabular-nums; }
.attachment .state { flex-wrap: wrap; justify-content: flex-end; gap: 0 8px; }
progress {
  appearance: none; width: 84px; height: 5px; border: 0; border-radius: 3px; overflow: hidden; background: var(--line);
}
progress::-webkit-progress-bar { background: var(--line); }
progress::-webkit-progress-value { background: var(--accent-text); transition: width .15s; }
progress::-moz-progress-bar { background: var(--accent-text); }
.percent { font-variant-numeric: tabular-nums; }

.note, .day { align-self: center; text-align: center; font-size: 12.5px; color: var(--muted); max-width: 92%; }
.day { font-weight: 550; margin: 4px 0; }
.thinking {
  display: flex; align-items: center; gap: 10px; margin-top: 12px; font-size: 13px; color: var(--muted);
  animation: appear .2s ease-out;
}
.dots {
  display: inline-flex; gap: 4px; padding: 11px 13px; border-radius: 16px; border-start-start-radius: 5px;
  background: var(--bubble);
}
.dots i { width: 6px; height: 6px; border-radius: 50%; background: var(--muted); animation: pulse 1.2s ease-in-out infinite; }
.dots i:nth-child(2) { animation-delay: .15s; }
.dots i:nth-child(3) { animation-delay: .3s; }
@keyframes pulse { 0%, 60%, 100% { opacity: .35; } 30% { opacity: 1; } }
.chips { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 14px; }
.chip {
  padding: 7px 13px; border: 1px solid color-mix(in srgb, var(--accent-text) 45%, var(--surface)); border-radius: 999px;
  color: var(--accent-text); font-size: 14px; line-height: 1.4; text-align: start; transition: background .12s;
}
.chip:hover { background: color-mix(in srgb, var(--accent) 10%, var(--surface)); }
.jump {
  position: absolute; left: 50%; bottom: 10px; transform: translateX(-50%); display: inline-flex; align-items: center;
  gap: 5px; padding: 6px 14px 6px 10px; border: 1px solid var(--line); border-radius: 999px; background: var(--surface);
  color: var(--ink); font-size: 13px; box-shadow: 0 2px 10px rgb(15 20 30 / 14%); white-space: nowrap;
}
.jump .icon { width: 16px; height: 16px; }

.composer { padding: 10px 12px calc(9px + env(safe-area-inset-bottom)); border-top: 1px solid var(--line); }
.notice { margin: 0 4px 8px; font-size: 13px; color: var(--danger); }
.field {
  display: flex; align-items: flex-end; gap: 4px; padding: 4px; border: 1px solid var(--edge); border-radius: 22px;
  background: var(--surface);
}
.field:focus-within { border-color: var(--accent-text); box-shadow: 0 0 0 1px var(--accent-text); }
.field textarea {
  flex: 1; min-width: 0; min-height: 34px; max-height: 132px; padding: 6px 4px 6px 12px; border: 0; outline: 0; resize: none;
  background: none; line-height: 22px; scrollbar-width: thin;
}
.attach { width: 34px; height: 34px; border-radius: 50%; }
.attach:not([hidden]) ~ textarea { padding-inline-start: 4px; }
textarea::placeholder { color: var(--muted); opacity: 1; }
.round {
  width: 34px; height: 34px; border-radius: 50%; flex: none; display: grid; place-items: center; background: var(--accent);
  color: var(--on-accent);
}
.round.stop { background: var(--ink); color: var(--surface); }
.under {
  display: flex; align-items: center; justify-content: space-between; gap: 10px; padding: 5px 6px 0;
  font-size: 12.5px; color: var(--muted);
}
.link {
  display: inline-flex; align-items: center; gap: 6px; min-height: 24px; border-radius: 6px; font-size: inherit;
  text-decoration: underline; text-underline-offset: 2px;
}
.person { text-decoration: none; }
.person:not(:disabled):hover { color: var(--ink); text-decoration: underline; }
.person .icon { width: 16px; height: 16px; }
.counter { margin-inline-start: auto; font-variant-numeric: tabular-nums; }
.counter.over { color: var(--danger); font-weight: 600; }

.confirm {
  position: absolute; inset: 0; z-index: 1; display: grid; place-items: center; padding: 24px;
  background: rgb(10 12 16 / 42%); animation: fade .14s ease-out;
}
@keyframes fade { from { opacity: 0; } }
.card { width: 100%; max-width: 320px; padding: 20px; border-radius: 16px; background: var(--surface); box-shadow: var(--shadow); }
.card h3 { font-size: 16px; font-weight: 650; }
.card p { margin-top: 6px; font-size: 14px; color: var(--muted); }
.choices { display: flex; flex-wrap: wrap; justify-content: flex-end; gap: 8px; margin-top: 18px; }

@media (max-width: 480px) {
  .panel { inset: var(--visible-top, 0) 0 auto 0; width: auto; height: var(--visible-height, 100dvh); border: 0; border-radius: 0; }
  .open .launcher { display: none; }
  header { padding-top: calc(12px + env(safe-area-inset-top)); }
  .field textarea, .comment textarea { font-size: 16px; } /* smaller text makes iOS zoom in */
  .icon-button:not(.small) { width: 44px; height: 44px; }
  .icon-button.small { width: 34px; height: 34px; }
  .field .attach { margin-block: -5px; }
}
@media (prefers-reduced-motion: reduce) { *, *::before, *::after { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .bubble, .launcher, .round, .panel { border: 1px solid; } }
@media print { .root { display: none; } }
`);
