// Asks for the API key where the service wants one.

import { apiKey } from "./api.js";
import { byId } from "./elements.js";

/** `onchange()` hears of another key. */
export function startKeyDialog(onchange) {
  const dialog = byId("key-dialog");
  const field = byId("key");

  function open(message = "") {
    Object.assign(byId("key-error"), { textContent: message, hidden: !message });
    if (message) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    field.value = apiKey.get();
    byId("key-forget").hidden = !apiKey.get();
    if (!dialog.open) dialog.showModal();
    field.focus();
  }

  function use(key) {
    apiKey.set(key);
    dialog.close();
    onchange();
  }

  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = field.value.trim();
    if (key) use(key);
    else open("Paste the key that you were given.");
  });
  byId("key-forget").addEventListener("click", () => {
    apiKey.set("");
    location.reload();
  });
  byId("key-button").hidden = false;
  byId("key-button").addEventListener("click", () => open());
  document.addEventListener("key-refused", ({ detail }) => open(detail.message));
  return open;
}
