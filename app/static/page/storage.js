// What the browser keeps for a page. Where it refuses, the page remembers for as long as it is open.

function keeper(name) {
  const memory = new Map();
  try {
    // Reading the property is refused already.
    return window[name];
  } catch {
    return {
      getItem: (key) => memory.get(key) ?? null,
      setItem: (key, value) => memory.set(key, value),
      removeItem: (key) => memory.delete(key),
    };
  }
}

/** Until the tab is closed. */
export const tabStorage = keeper("sessionStorage");
export const browserStorage = keeper("localStorage");
