/* Light and dark, and an accent colour that stays readable whatever the site chose. */

const BLACK = [0, 0, 0];
const WHITE = [255, 255, 255];
// The darkest (lightest) surface that text in the accent colour stands on, and where that text is moved to until it can be read.
const THEMES = { light: { surface: [236, 238, 241], ink: BLACK }, dark: { surface: [51, 55, 60], ink: WHITE } };
const READABLE = 4.5; // WCAG 2.2, level AA

/** Dresses `root` in the wanted theme ("auto", "light", "dark") and accent, and again whenever the system's theme changes. */
export function dress(root, { theme = "auto", accent = "", signal }) {
  const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const isDark = theme === "dark" || (theme !== "light" && systemIsDark.matches);
    root.classList.toggle("dark", isDark);
    tint(root, accent, THEMES[isDark ? "dark" : "light"]);
  };
  systemIsDark.addEventListener("change", paint, { signal });
  paint();
}

function tint({ style }, accent, theme) {
  const rgb = parse(accent);
  if (!rgb) return;
  style.setProperty("--accent", toCss(rgb));
  style.setProperty("--on-accent", contrast(rgb, WHITE) >= READABLE ? "#fff" : "#000");
  style.setProperty("--accent-text", toCss(readable(rgb, theme)));
}

/** Any CSS colour as red, green and blue; null if it is none. */
function parse(colour) {
  if (!CSS.supports("color", colour)) return null;
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = colour; // reads back as #rrggbb where it is opaque
  const match = /^#(..)(..)(..)$/.exec(canvas.fillStyle);
  return match && match.slice(1).map((part) => parseInt(part, 16));
}

function readable(rgb, { surface, ink }) {
  for (let share = 0; share < 1; share += 0.05) {
    const mixed = rgb.map((part, i) => Math.round(part + (ink[i] - part) * share));
    if (contrast(mixed, surface) >= READABLE) return mixed;
  }
  return ink;
}

/** Contrast ratio of two colours, 1 to 21. */
function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((part) => (part <= 10 ? part / 3294 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const toCss = (rgb) => `rgb(${rgb.join(" ")})`;
