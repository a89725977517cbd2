// Light, dark, or as the system says.

import { byId, icon } from "./elements.js";
import { browserStorage } from "./storage.js";

const THEMES = ["auto", "light", "dark"];
const NAMES = { auto: "automatic", light: "light", dark: "dark" };

export function startThemeSwitch() {
  const switcher = byId("theme-button");
  let theme = document.documentElement.dataset.theme ?? "auto";

  function show() {
    switcher.replaceChildren(icon(theme));
    switcher.setAttribute("aria-label", `Theme: ${NAMES[theme]}`);
    switcher.title = `Theme: ${NAMES[theme]}`;
  }

  switcher.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    if (theme === "auto") {
      delete document.documentElement.dataset.theme;
      browserStorage.removeItem("t2v.theme");
    } else {
      document.documentElement.dataset.theme = theme;
      browserStorage.setItem("t2v.theme", theme);
    }
    show();
  });
  show();
}
